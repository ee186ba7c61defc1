// Asks everything that an SDK can ask, of both sides, and prints what the SDK made of the answers.
//
// A case takes {url, key} and returns what can be written as JSON. `metered` cases are asked of both
// sides, then of the proxy with a key that may spend nothing and with one that nobody made; `free`
// cases are asked of both sides alone; `hasty`, which must not try again by itself, is asked twice
// with a key that may call once a minute.

const { DIRECT_URL, DIRECT_KEY, PROXY_URL, KEY, POOR_KEY, HASTY_KEY, UNKNOWN_KEY } = process.env;

export const PROMPT = "What does the budget say? ".repeat(120);
export const OUTPUT_LIMIT = 100;

export async function gathered(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return pieces;
}

export async function ask({ metered, free = {}, hasty }) {
  const direct = { url: DIRECT_URL, key: DIRECT_KEY };
  const through = (key) => ({ url: PROXY_URL, key });
  const answers = {};
  const refusals = { poor: {}, unknown: {} };
  for (const [name, use] of Object.entries({ ...metered, ...free })) {
    answers[name] = { direct: await use(direct), proxied: await use(through(KEY)) };
  }
  for (const [name, use] of Object.entries(metered)) {
    refusals.poor[name] = await refusal(() => use(through(POOR_KEY)));
    refusals.unknown[name] = await refusal(() => use(through(UNKNOWN_KEY)));
  }
  await hasty(through(HASTY_KEY));
  const rate = await refusal(() => hasty(through(HASTY_KEY)));
  console.log(JSON.stringify({ answers, refusals, rate }));
}

async function refusal(use) {
  try {
    return { raised: null, made: await use() };
  } catch (error) {
    return {
      raised: error.constructor.name,
      status: error.status ?? error.statusCode ?? null,
      message: error.message,
    };
  }
}
