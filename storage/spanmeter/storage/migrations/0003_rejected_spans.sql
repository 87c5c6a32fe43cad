-- Spans that could not be metered or stored, kept as they came: acknowledged is never the same as lost.

CREATE TABLE rejected_spans (
    payload_sha256 bytea PRIMARY KEY CHECK (octet_length(payload_sha256) = 32),
    rejected_at timestamptz NOT NULL DEFAULT now(),
    reason text NOT NULL CHECK (reason <> ''),
    detail text NOT NULL,
    trace_id bytea NOT NULL,
    span_id bytea NOT NULL,
    tenant_id text,
    payload bytea NOT NULL
);

CREATE INDEX rejected_spans_time ON rejected_spans (rejected_at DESC);

COMMENT ON TABLE rejected_spans IS 'Spans that could not become a usage event, with the reason; replayable.';
COMMENT ON COLUMN rejected_spans.payload_sha256 IS 'SHA-256 of payload: delivered again, it is still one row.';
COMMENT ON COLUMN rejected_spans.rejected_at IS 'When it was first rejected.';
COMMENT ON COLUMN rejected_spans.reason IS 'Short code of the reason.';
COMMENT ON COLUMN rejected_spans.detail IS 'The reason in a sentence.';
COMMENT ON COLUMN rejected_spans.trace_id IS 'trace_id as it came, whatever its length.';
COMMENT ON COLUMN rejected_spans.span_id IS 'span_id as it came, whatever its length.';
COMMENT ON COLUMN rejected_spans.tenant_id IS 'The account it named, if any.';
COMMENT ON COLUMN rejected_spans.payload IS 'The span with its resource and scope: an OTLP ExportTraceServiceRequest.';
