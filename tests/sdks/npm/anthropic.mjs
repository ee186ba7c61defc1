// What people do with Anthropic's own SDK.

import Anthropic from "@anthropic-ai/sdk";
import { ask, gathered, OUTPUT_LIMIT, PROMPT } from "./asking.mjs";

const model = "anthropic/claude-haiku-4.5";
const messages = [{ role: "user", content: PROMPT }];
const request = { model, messages, max_tokens: OUTPUT_LIMIT };
const client = ({ url, key }, options = {}) =>
  new Anthropic({ baseURL: url, apiKey: key, ...options });

await ask({
  metered: {
    create: (side) => client(side).messages.create(request),
    streamed: async (side) =>
      gathered(await client(side).messages.create({ ...request, stream: true })),
    streamReader: (side) => client(side).messages.stream(request).finalMessage(),
  },
  free: { countTokens: (side) => client(side).messages.countTokens({ model, messages }) },
  hasty: (side) => client(side, { maxRetries: 0 }).messages.create(request),
});
