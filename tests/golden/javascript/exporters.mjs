// `node exporters.mjs EXPORTER URL SPANS`: sends spans of calls by one of JavaScript's OTLP exporters.

import { SpanKind } from '@opentelemetry/api';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const [name, url, count] = process.argv.slice(2);
const { OTLPTraceExporter } = await import(`@opentelemetry/exporter-trace-otlp-${name}`);
const exporter = new OTLPTraceExporter({ url, compression: 'gzip' });
const processor = new BatchSpanProcessor(exporter, { maxQueueSize: 10_000 });
const provider = new NodeTracerProvider({ spanProcessors: [processor] });
const tracer = provider.getTracer('an-app');

for (let i = 1; i <= Number(count); i++) {
  const attributes = {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'openai',
    'gen_ai.request.model': 'gpt-4o-mini',
    'gen_ai.response.id': `chatcmpl-of-a-javascript-app-${i}`,
    'gen_ai.usage.input_tokens': 1000 + i,
    'gen_ai.usage.output_tokens': 200,
    'tenant.id': 'acme',
  };
  tracer.startSpan('chat gpt-4o-mini', { kind: SpanKind.CLIENT, attributes }).end();
}
await provider.shutdown();
