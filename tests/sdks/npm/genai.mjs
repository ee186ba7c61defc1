// What people do with Google's own SDK, for Gemini and for Vertex.

import { GoogleGenAI } from "@google/genai";
import { OAuth2Client } from "google-auth-library";
import { ask, gathered, OUTPUT_LIMIT, PROMPT } from "./asking.mjs";

const model = "gemini-3.8-flash";
const request = { model, contents: PROMPT, config: { maxOutputTokens: OUTPUT_LIMIT } };
const gemini = ({ url, key }) => new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: url } });
const vertexKey = ({ url, key }) =>
  new GoogleGenAI({ vertexai: true, apiKey: key, httpOptions: { baseUrl: url } });
// Signs with whatever token it is given: here the caller's key.
const vertexProject = ({ url, key }) => {
  const authClient = new OAuth2Client();
  authClient.setCredentials({ access_token: key });
  return new GoogleGenAI({
    vertexai: true,
    project: "some-project",
    location: "us-central1",
    googleAuthOptions: { authClient },
    httpOptions: { baseUrl: url },
  });
};

// The proxy adds headers of its own to those of the answer.
function plain(response) {
  const { sdkHttpResponse, ...rest } = response;
  return rest;
}

const metered = {};
for (const [name, client] of Object.entries({ gemini, vertexKey, vertexProject })) {
  metered[`${name}Generate`] = async (side) =>
    plain(await client(side).models.generateContent(request));
  metered[`${name}Stream`] = async (side) =>
    (await gathered(await client(side).models.generateContentStream(request))).map(plain);
}

await ask({
  metered,
  free: {
    countTokens: async (side) =>
      plain(await gemini(side).models.countTokens({ model, contents: PROMPT })),
  },
  hasty: (side) => gemini(side).models.generateContent(request),
});
