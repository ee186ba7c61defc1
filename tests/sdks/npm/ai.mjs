// What people do with Vercel's AI SDK, through three of its providers.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { embedMany, generateText, streamText } from "ai";
import { ask, OUTPUT_LIMIT, PROMPT } from "./asking.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const openai = ({ url, key }) => createOpenAI({ baseURL: `${url}/v1`, apiKey: key });
const anthropic = ({ url, key }) => createAnthropic({ baseURL: `${url}/v1`, apiKey: key });
const google = ({ url, key }) =>
  createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, apiKey: key });
const models = {
  chat: (side) => openai(side).chat("openai/gpt-5.6-mini"),
  responses: (side) => openai(side).responses("openai/gpt-5.6-mini"),
  anthropic: (side) => anthropic(side)("anthropic/claude-haiku-4.5"),
  google: (side) => google(side)("gemini-3.8-flash"),
};
const request = { prompt: PROMPT, maxOutputTokens: OUTPUT_LIMIT };

async function generate(model, options = {}) {
  const { text, usage, finishReason, response } = await generateText({ model, ...request, ...options });
  return { text, usage, finishReason, id: response.id };
}

async function stream(model) {
  const result = streamText({ model, ...request, onError: () => {} });
  const deltas = [];
  for await (const part of result.fullStream) {
    if (part.type === "error") throw part.error;
    if (part.type === "text-delta") deltas.push(part.text);
  }
  return { deltas, usage: await result.usage, finishReason: await result.finishReason };
}

const metered = {};
for (const [name, model] of Object.entries(models)) {
  metered[`${name}Generate`] = (side) => generate(model(side));
  metered[`${name}Stream`] = (side) => stream(model(side));
}
metered.embed = async (side) => {
  const model = openai(side).embedding("openai/text-embedding-3-small");
  const { embeddings, usage } = await embedMany({ model, values: ["one", "two"] });
  return { embeddings, usage };
};

await ask({ metered, hasty: (side) => generate(models.chat(side), { maxRetries: 0 }) });
