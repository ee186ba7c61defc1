// What people do with OpenAI's own SDK.

import OpenAI from "openai";
import { ask, gathered, OUTPUT_LIMIT, PROMPT } from "./asking.mjs";

const model = "openai/gpt-5.6-mini";
const messages = [{ role: "user", content: PROMPT }];
const chat = { model, messages, max_completion_tokens: OUTPUT_LIMIT };
const responses = { model, input: PROMPT, max_output_tokens: OUTPUT_LIMIT };
const client = ({ url, key }, options = {}) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: key, ...options });

await ask({
  metered: {
    chat: (side) => client(side).chat.completions.create(chat),
    chatStreamed: async (side) =>
      gathered(await client(side).chat.completions.create({ ...chat, stream: true })),
    chatStreamedWithUsage: async (side) =>
      gathered(
        await client(side).chat.completions.create({
          ...chat,
          stream: true,
          stream_options: { include_usage: true },
        }),
      ),
    chatStreamReader: (side) => client(side).chat.completions.stream(chat).finalChatCompletion(),
    responses: (side) => client(side).responses.create(responses),
    responsesStreamed: async (side) =>
      gathered(await client(side).responses.create({ ...responses, stream: true })),
    embeddings: (side) =>
      client(side).embeddings.create({ model: "openai/text-embedding-3-small", input: ["one", "two"] }),
  },
  free: { models: async (side) => gathered(await client(side).models.list()) },
  hasty: (side) => client(side, { maxRetries: 0 }).chat.completions.create(chat),
});
