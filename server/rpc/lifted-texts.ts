import { createContextKey, type Interceptor } from "@connectrpc/connect";

/** Long strings of one request by the names that stand for them in its message. */
export type LiftedTexts = Map<string, string>;

/** Where the adapter's context keeps them for `putBackTexts`. */
export const liftedTexts = createContextKey<LiftedTexts>(new Map());

/** Puts long strings back into the fields of a request's message after it was parsed. */
export const putBackTexts: Interceptor = (next) => (request) => {
  const texts = request.contextValues.get(liftedTexts);
  if (request.stream) return next({ ...request, message: putBackEach(request.message, texts) });
  putBack(request.message, texts);
  return next(request);
};

async function* putBackEach<Message extends object>(
  messages: AsyncIterable<Message>,
  texts: LiftedTexts,
): AsyncGenerator<Message> {
  for await (const message of messages) {
    putBack(message, texts);
    yield message;
  }
}

function putBack(message: object, texts: LiftedTexts): void {
  if (texts.size === 0) return;
  for (const [name, value] of Object.entries(message)) {
    const text = typeof value === "string" ? texts.get(value) : undefined;
    if (text !== undefined) Object.assign(message, { [name]: text });
  }
}
