/* The life of a session. */
#include "web/live/session.h"
#include "base/error.h"
#include "web/live/session_private.h"

#include <stdlib.h>

#define BURST_SECONDS 2   /* of requests may come at once */
#define PATIENCE      200 /* requests over the rate in a row, each answered with an error, before the end */

static int greet(struct px_session *session, struct px_text token)
{
    const struct px_hub_options *options = &session->hub->options;

    if (token.len > 0) {
        if (options->auth == NULL || options->auth(options->auth_user, token, session->owner, &session->scopes) != 0)
            return PX_E_FORBIDDEN;
    }
    if (pxi_session_frame(session, PXI_STATUS, false, pxi_encode_status(session->hub, "online", session->id, 0)))
        pxi_session_sent(session);
    return 0;
}

/* Whether one more request is within the rate. */
static bool take_token(struct px_session *session)
{
    int64_t rate = session->hub->options.config->limits.requests_per_second;
    int64_t most = rate * 1000 * BURST_SECONDS;
    int64_t passed = px_mono_since(session->hub->now, session->tokens_at);

    session->tokens_at = session->hub->now;
    /* Anything over the burst fills it; the bound keeps the product small after a long silence. */
    passed = PX_MIN(passed, BURST_SECONDS * PX_NS_PER_S);
    session->tokens_milli = PX_MIN(most, session->tokens_milli + passed / PX_NS_PER_MS * rate);
    if (session->tokens_milli < 1000) {
        session->over_rate++;
        return false;
    }
    session->tokens_milli -= 1000;
    session->over_rate = 0;
    return true;
}

/* public API */

int px_session_create(struct px_hub *hub, const struct px_session_sink *sink, void *connection, struct px_text token,
                      px_mono now, struct px_session **sessionp)
{
    struct px_session *session = calloc(1, sizeof(*session));
    int error;

    if (session == NULL)
        return PX_E_MEMORY;
    hub->now = now;
    session->hub = hub;
    session->sink = sink;
    session->connection = connection;
    session->id = ++hub->next_id;
    session->dirty_end = &session->dirty;
    session->sent_at = session->touched_at = session->tokens_at = now;
    session->tokens_milli = (int64_t)hub->options.config->limits.requests_per_second * 1000 * BURST_SECONDS;
    cds_list_add_tail(&session->all, &hub->sessions);
    error = greet(session, token);
    if (error != 0)
        px_session_destroy(&session);
    *sessionp = session;
    return error;
}

void px_session_destroy(struct px_session **sessionp)
{
    struct px_session *session = *sessionp;

    if (session == NULL)
        return;
    pxi_session_unqueue(session);
    pxi_alerts_unsubscribe(session);
    pxi_subs_clear(session);
    cds_list_del(&session->all);
    free(session);
    *sessionp = NULL;
}

void px_session_text(struct px_session *session, struct px_text text, px_mono now)
{
    session->hub->now = now;
    if (session->closed)
        return;
    if (take_token(session)) {
        pxi_session_request(session, text);
    } else if (session->over_rate > PATIENCE) {
        pxi_session_close(session, PX_CLOSE_RATE, "too many requests");
    } else {
        (void)pxi_session_say(
            session,
            PX_TEXT("{\"method\":null,\"success\":false,\"error\":\"Too many requests\",\"code\":\"rate_limited\"}"),
            (struct px_text){"", 0});
    }
    if (!session->closed)
        pxi_session_sent(session);
}
