// `node vercel.mjs MAJOR PROVIDER SINK`: has a major of Vercel's AI SDK call the provider, and sends its
// spans to a sink as OTLP over HTTP.

import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const PACKAGES = {
  5: ['ai5', 'ai-openai-2', 'ai-anthropic-2', 'ai-google-2'],
  6: ['ai6', 'ai-openai-3', 'ai-anthropic-3', 'ai-google-3'],
  7: ['ai', '@ai-sdk/openai', '@ai-sdk/anthropic', '@ai-sdk/google'],
};
const LONG = 'What did we say of it at the end of the year? '.repeat(300);
const ASK = 'How did we do?';

const [major, url, sink] = process.argv.slice(2);
const [library, openaiLibrary, anthropicLibrary, googleLibrary] = PACKAGES[major];
const ai = await import(library);
const { createOpenAI } = await import(openaiLibrary);
const { createAnthropic } = await import(anthropicLibrary);
const { createGoogleGenerativeAI } = await import(googleLibrary);

const exporter = new OTLPTraceExporter({ url: `${sink}/v1/traces` });
const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
provider.register();
if (major === '7') {
  const { OpenTelemetry } = await import('@ai-sdk/otel');
  ai.registerTelemetry(new OpenTelemetry());
}

const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: 'any' });
const anthropic = createAnthropic({ baseURL: `${url}/v1`, apiKey: 'any' });
const google = createGoogleGenerativeAI({ baseURL: `${url}/v1beta`, apiKey: 'any' });
const telemetry = { isEnabled: true, metadata: { tenantId: 'acme' } };
const told = major === '7' ? { telemetry } : { experimental_telemetry: telemetry };

for (let i = 0; i < 2; i++) {
  await ai.generateText({ model: openai.chat('gpt-4o-mini'), prompt: LONG, ...told });
}
await ai.generateText({ model: openai('gpt-5'), prompt: ASK, ...told });
const stream = ai.streamText({ model: openai.chat('o4-mini'), prompt: ASK, ...told });
for await (const _ of stream.textStream);

const cacheControl = { type: 'ephemeral' };
const system = { role: 'system', content: LONG, providerOptions: { anthropic: { cacheControl } } };
for (let i = 0; i < 2; i++) {
  await ai.generateText({
    model: anthropic('claude-haiku-4-5'),
    messages: [system, { role: 'user', content: ASK }],
    allowSystemInMessages: true,
    ...told,
  });
}
for (let i = 0; i < 2; i++) {
  await ai.generateText({ model: google('gemini-2.5-flash'), prompt: LONG, ...told });
}
await ai.embed({ model: openai.textEmbeddingModel('text-embedding-3-small'), value: ASK, ...told });
await provider.shutdown();
