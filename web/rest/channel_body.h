/*
 * Channels in JSON: the body of a create or of a change into a record, and a record into an answer. Secrets leave only where they are
 * made. Pure; any process, any thread.
 */
#pragma once

#include "store/channel.h"
#include "web/rest/problem.h"

/*
 * Reads the body of a create (`change` false: *channelp is made, all but id, owner and secret, which may be given) or of a change to
 * what stands in *channelp, whose type stays. False with the problem stated.
 */
bool px_channel_body_read(struct px_text body, bool change, struct px_channel *channelp, struct px_problem *problemp);

/* Would the two have been made by the same body? */
bool px_channel_body_same(const struct px_channel *a, const struct px_channel *b);

/* {"code": "123456"} of a :verify. False with the problem stated. */
bool px_channel_code_read(struct px_text body, char code[PX_CODE_SIZE], struct px_problem *problemp);

void px_channel_write(const struct px_channel *channel, bool with_secret, struct px_json *json);
