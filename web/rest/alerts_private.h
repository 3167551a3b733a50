/* Inside web/rest/alert*.c: what handlers of alerts share. */
#pragma once

#include "web/rest/alert_body.h"
#include "web/rest/request_private.h"

#define PXI_ALERT_BYTES_MAX 6144 /* of one alert in an answer, every byte of its texts escaped */

/* px_asset_finder over the directory; ctx is the request. */
px_asset_id pxi_alert_asset(void *ctx, struct px_text text, struct px_symbol *symbolp);

/* The caller's alert of this id; false with the problem stated. */
bool pxi_alert_fetch(struct px_request *request, struct px_text name, struct px_alert *alertp);

/* What the keeper's refusal means. */
void pxi_alert_refused(struct px_request *request, int rc, struct px_problem *problem);

/* What has been found out about channels during one request. */
struct pxi_known_channels {
    unsigned count;
    struct {
        struct px_alert_id id;
        int result;
    } list[64];
};

/* Each channel must be the owner's own, whatever the caller's scopes: it is the owner's fires that go there. */
bool pxi_own_channels(struct px_request *request, const struct px_alert *alert, struct pxi_known_channels *known,
                      struct px_problem *problem);
