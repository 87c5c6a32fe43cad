/* The bytes of an OTLP export request as spans, without a Python object for every message on the way.

   It accepts and refuses exactly what protobuf's own parser (upb, as the Python package configures it) accepts and
   refuses, and yields what parsed_spans.py makes of the parser's messages; a differential fuzz test holds it to that.
   Source of the encoding: protobuf.dev/programming-guides/encoding; of the messages: opentelemetry-proto,
   trace/v1/trace.proto and common/v1/common.proto. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* ---- The state of the module: the types it makes, and texts it has seen. ---- */

enum { RECORD_SPAN, RECORD_RECEIVED, RECORD_REPLAY, RECORDS };
enum { SPAN_FIELDS = 13, RECEIVED_FIELDS = 2, REPLAY_FIELDS = 4 };

/* Names of attributes, and most of their values, come again with every span. */
enum { TEXTS = 2048, MAX_KEPT_TEXT = 48 };

typedef struct {
    PyObject *text;
    uint32_t size;
    uint8_t bytes[MAX_KEPT_TEXT];
} KeptText;

typedef struct {
    PyObject *types[RECORDS];
    allocfunc allocs[RECORDS];
    PyObject *enclosing, *malformed, *too_large;
    KeptText texts[TEXTS];
} State;

typedef struct {
    const uint8_t *at, *end;
} Bytes;

typedef struct {
    State *state;
    PyObject *body;
    const uint8_t *start;
    Py_ssize_t spans, decoded, attributes, max_attributes;
    PyObject *received;
} Decoder;

static int
malformed(Decoder *decoder, const char *what)
{
    PyErr_SetString(decoder->state->malformed, what);
    return -1;
}

/* ---- The wire format. ---- */

enum { VARINT = 0, FIXED64 = 1, LENGTH_DELIMITED = 2, START_GROUP = 3, END_GROUP = 4, FIXED32 = 5 };

/* What the parser bounds the nesting of messages and groups to. */
enum { MAX_DEPTH = 100 };

typedef struct {
    uint32_t number;
    int wire;
    uint64_t number_value; /* of VARINT and FIXED64 */
    Bytes bytes;           /* of LENGTH_DELIMITED */
} Field;

#define FIELD(number, wire) ((uint32_t)(number) << 3 | (wire))

/* 0, or -1 without an exception. Bits beyond the 64th are lost, as in the parser. */
static inline int
read_varint(Bytes *in, int max_bytes, uint64_t *value)
{
    uint64_t read = 0;
    for (int shift = 0; shift < 7 * max_bytes && in->at < in->end; shift += 7) {
        uint8_t byte = *in->at++;
        read |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *value = read;
            return 0;
        }
    }
    return -1;
}

static int
read_tag(Decoder *decoder, Bytes *in, uint32_t *number, int *wire)
{
    uint64_t tag;
    if (read_varint(in, 5, &tag) < 0 || tag > UINT32_MAX)
        return malformed(decoder, "a field's number does not end");
    *number = (uint32_t)(tag >> 3);
    *wire = (int)(tag & 7);
    return 0;
}

static int
read_fixed(Decoder *decoder, Bytes *in, int size, uint64_t *value)
{
    if (in->end - in->at < size)
        return malformed(decoder, "the message ends in the middle of a field");
    *value = 0;
    for (int i = 0; i < size; i++)
        *value |= (uint64_t)in->at[i] << 8 * i;
    in->at += size;
    return 0;
}

static int
read_bytes(Decoder *decoder, Bytes *in, Bytes *bytes)
{
    uint64_t size;
    if (read_varint(in, 5, &size) < 0)
        return malformed(decoder, "the message ends in the middle of a length");
    if (size > (uint64_t)(in->end - in->at))
        return malformed(decoder, "a field is longer than the message that holds it");
    bytes->at = in->at;
    bytes->end = in->at += size;
    return 0;
}

static int skip_group(Decoder *decoder, Bytes *in, uint32_t number, int depth);

static inline int
read_value(Decoder *decoder, Bytes *in, Field *field, int depth)
{
    switch (field->wire) {
    case VARINT:
        if (read_varint(in, 10, &field->number_value) < 0)
            return malformed(decoder, "a number does not end");
        return 0;
    case FIXED64:
        return read_fixed(decoder, in, 8, &field->number_value);
    case FIXED32:
        return read_fixed(decoder, in, 4, &field->number_value);
    case LENGTH_DELIMITED:
        return read_bytes(decoder, in, &field->bytes);
    case START_GROUP:
        return skip_group(decoder, in, field->number, depth);
    default:
        return malformed(decoder, "a field has a wire type that there is not");
    }
}

/* 1 with the next field, 0 at the end of the message, -1 with an exception. */
static inline int
next_field(Decoder *decoder, Bytes *in, Field *field, int depth)
{
    if (in->at == in->end)
        return 0;
    if (read_tag(decoder, in, &field->number, &field->wire) < 0)
        return -1;
    if (field->number == 0)
        return malformed(decoder, "a field has no number");
    return read_value(decoder, in, field, depth) < 0 ? -1 : 1;
}

/* OTLP has no groups, so all that come are unknown fields. The parser takes even those without a number in them. */
static int
skip_group(Decoder *decoder, Bytes *in, uint32_t number, int depth)
{
    Field field;
    if (--depth < 0)
        return malformed(decoder, "messages are nested too deeply");
    while (in->at < in->end) {
        if (read_tag(decoder, in, &field.number, &field.wire) < 0)
            return -1;
        if (field.wire == END_GROUP && field.number == number)
            return 0;
        if (read_value(decoder, in, &field, depth) < 0)
            return -1;
    }
    return malformed(decoder, "a group does not end");
}

/* ---- Text. ---- */

static inline int
is_ascii(Bytes text)
{
    uint64_t word;
    for (; text.end - text.at >= 8; text.at += 8) {
        memcpy(&word, text.at, 8);
        if (word & 0x8080808080808080u)
            return 0;
    }
    for (; text.at < text.end; text.at++)
        if (*text.at >= 0x80)
            return 0;
    return 1;
}

static PyObject *
new_text(Decoder *decoder, Bytes text)
{
    PyObject *made =
        PyUnicode_DecodeUTF8((const char *)text.at, text.end - text.at, NULL);
    if (made == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        malformed(decoder, "a text is not UTF-8");
    }
    return made;
}

static int
check_text(Decoder *decoder, Bytes text)
{
    if (is_ascii(text))
        return 0;
    PyObject *made = new_text(decoder, text);
    Py_XDECREF(made);
    return made == NULL ? -1 : 0;
}

static inline uint32_t
slot_of(Bytes text)
{
    uint64_t hash = (uint64_t)(text.end - text.at), word = 0;
    for (; text.end - text.at >= 8; text.at += 8) {
        memcpy(&word, text.at, 8);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 29;
    }
    word = 0;
    memcpy(&word, text.at, (size_t)(text.end - text.at));
    hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(hash >> 40) % TEXTS;
}

/* A short text as the one object that was made when it came first, unless another took its place since. */
static PyObject *
kept_text(Decoder *decoder, Bytes text)
{
    size_t size = (size_t)(text.end - text.at);
    if (size > MAX_KEPT_TEXT)
        return new_text(decoder, text);
    KeptText *kept = &decoder->state->texts[slot_of(text)];
    if (kept->text == NULL || kept->size != size || memcmp(kept->bytes, text.at, size) != 0) {
        PyObject *made = new_text(decoder, text), *before = kept->text;
        if (made == NULL)
            return NULL;
        kept->text = made;
        kept->size = (uint32_t)size;
        memcpy(kept->bytes, text.at, size);
        Py_XDECREF(before);
    }
    return Py_NewRef(kept->text);
}

/* ---- Messages that nothing is made of: only that they are well-formed. ---- */

typedef enum { ANY_VALUE, ARRAY, KEY_VALUES, KEY_VALUE, ENTITY, EVENT, LINK, MESSAGES, TEXT } Kind;

typedef struct {
    uint32_t number;
    Kind kind;
    int is_repeated;
} Member;

enum { MEMBERS = 4 };

/* The members that can be malformed, or that there can be many of. */
static const Member SCHEMA[MESSAGES][MEMBERS] = {
    [ANY_VALUE] = {{1, TEXT, 0}, {5, ARRAY, 0}, {6, KEY_VALUES, 0}},
    [ARRAY] = {{1, ANY_VALUE, 1}},
    [KEY_VALUES] = {{1, KEY_VALUE, 1}},
    [KEY_VALUE] = {{1, TEXT, 0}, {2, ANY_VALUE, 0}},
    [ENTITY] = {{1, TEXT, 0}, {2, TEXT, 0}, {3, TEXT, 1}, {4, TEXT, 1}},
    [EVENT] = {{2, TEXT, 0}, {3, KEY_VALUE, 1}},
    [LINK] = {{3, TEXT, 0}, {4, KEY_VALUE, 1}},
};

/* Every element that is repeated, other than spans, costs memory that its two bytes on the wire do not show. */
static inline int
count_attribute(Decoder *decoder)
{
    if (++decoder->attributes <= decoder->max_attributes)
        return 0;
    PyErr_Format(decoder->state->too_large, "more than %zd attributes", decoder->max_attributes);
    return -1;
}

static int
check(Decoder *decoder, Kind kind, Bytes in, int depth)
{
    if (kind == TEXT)
        return check_text(decoder, in);
    Field field;
    int found;
    if (--depth < 0)
        return malformed(decoder, "messages are nested too deeply");
    while ((found = next_field(decoder, &in, &field, depth)) > 0) {
        if (field.wire != LENGTH_DELIMITED)
            continue;
        const Member *member = SCHEMA[kind];
        for (int i = 0; i < MEMBERS && member->number != 0; i++, member++) {
            if (member->number != field.number)
                continue;
            if (member->is_repeated && count_attribute(decoder) < 0)
                return -1;
            if (check(decoder, member->kind, field.bytes, depth) < 0)
                return -1;
        }
    }
    return found;
}

/* ---- Attributes. ---- */

/* An AnyValue as far as it is read: given again, a list or a map goes on, and anything else is replaced. */
typedef struct {
    uint32_t number; /* of the member that is set; 0 for none */
    PyObject *value;
} Any;

static int read_any(Decoder *decoder, Any *any, Bytes in, int depth);

/* Takes over `value`, which is NULL after an exception. */
static int
set_any(Any *any, uint32_t number, PyObject *value)
{
    if (value == NULL)
        return -1;
    Py_XDECREF(any->value);
    any->number = number;
    any->value = value;
    return 0;
}

/* Takes over the value of `any`. */
static PyObject *
value_of(Any *any)
{
    return any->value != NULL ? any->value : Py_NewRef(Py_None);
}

static int
read_key_value(Decoder *decoder, PyObject *into, Bytes in, int depth)
{
    Field field;
    Bytes key = {in.at, in.at};
    Any any = {0, NULL};
    int found;
    if (count_attribute(decoder) < 0)
        return -1;
    if (--depth < 0)
        return malformed(decoder, "messages are nested too deeply");
    while ((found = next_field(decoder, &in, &field, depth)) > 0) {
        if (field.wire != LENGTH_DELIMITED)
            continue;
        if (field.number == 1) {
            if (check_text(decoder, key) < 0)
                goto failed;
            key = field.bytes;
        }
        else if (field.number == 2 && read_any(decoder, &any, field.bytes, depth) < 0)
            goto failed;
    }
    if (found < 0)
        goto failed;
    PyObject *name = kept_text(decoder, key), *value = value_of(&any);
    int done = name == NULL ? -1 : PyDict_SetItem(into, name, value);
    Py_XDECREF(name);
    Py_DECREF(value);
    return done;
failed:
    Py_XDECREF(any.value);
    return -1;
}

static int
read_list(Decoder *decoder, PyObject *into, Bytes in, int depth)
{
    Field field;
    int found;
    if (--depth < 0)
        return malformed(decoder, "messages are nested too deeply");
    while ((found = next_field(decoder, &in, &field, depth)) > 0) {
        if (field.number != 1 || field.wire != LENGTH_DELIMITED)
            continue;
        Any any = {0, NULL};
        if (count_attribute(decoder) < 0 || read_any(decoder, &any, field.bytes, depth) < 0) {
            Py_XDECREF(any.value);
            return -1;
        }
        PyObject *value = value_of(&any);
        int done = PyList_Append(into, value);
        Py_DECREF(value);
        if (done < 0)
            return -1;
    }
    return found;
}

static int
read_map(Decoder *decoder, PyObject *into, Bytes in, int depth)
{
    Field field;
    int found;
    if (--depth < 0)
        return malformed(decoder, "messages are nested too deeply");
    while ((found = next_field(decoder, &in, &field, depth)) > 0)
        if (field.number == 1 && field.wire == LENGTH_DELIMITED &&
            read_key_value(decoder, into, field.bytes, depth) < 0)
            return -1;
    return found;
}

static PyObject *
new_bytes(Bytes bytes)
{
    return PyBytes_FromStringAndSize((const char *)bytes.at, bytes.end - bytes.at);
}

static PyObject *
new_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, 8);
    return PyFloat_FromDouble(value);
}

static int
read_member(Decoder *decoder, Any *any, const Field *field, int depth)
{
    switch (FIELD(field->number, field->wire)) {
    case FIELD(1, LENGTH_DELIMITED):
        return set_any(any, 1, kept_text(decoder, field->bytes));
    case FIELD(2, VARINT):
        return set_any(any, 2, PyBool_FromLong(field->number_value != 0));
    case FIELD(3, VARINT):
        return set_any(any, 3, PyLong_FromLongLong((int64_t)field->number_value));
    case FIELD(4, FIXED64):
        return set_any(any, 4, new_double(field->number_value));
    case FIELD(5, LENGTH_DELIMITED):
        if (any->number != 5 && set_any(any, 5, PyList_New(0)) < 0)
            return -1;
        return read_list(decoder, any->value, field->bytes, depth);
    case FIELD(6, LENGTH_DELIMITED):
        if (any->number != 6 && set_any(any, 6, PyDict_New()) < 0)
            return -1;
        return read_map(decoder, any->value, field->bytes, depth);
    case FIELD(7, LENGTH_DELIMITED):
        return set_any(any, 7, new_bytes(field->bytes));
    case FIELD(8, VARINT):
        /* An index into a profile's table of texts, which a span has none of. */
        return set_any(any, 8, Py_NewRef(Py_None));
    default:
        return 0;
    }
}

static int
read_any(Decoder *decoder, Any *any, Bytes in, int depth)
{
    Field field;
    int found;
    if (--depth < 0)
        return malformed(decoder, "messages are nested too deeply");
    while ((found = next_field(decoder, &in, &field, depth)) > 0)
        if (read_member(decoder, any, &field, depth) < 0)
            return -1;
    return found;
}

/* ---- Spans. ---- */

typedef struct {
    Bytes trace_id, span_id, parent_span_id, name;
    uint64_t start_ns, end_ns;
    uint32_t kind, status, dropped_attributes;
    PyObject *attributes; /* a dict of its own */
} Span;

/* What the spans of a scope share. */
typedef struct {
    PyObject *resource, *scope_name, *scope_version, *enclosing; /* borrowed */
} Shared;

enum { STATUS_ERROR = 2 };

static int
read_status(Decoder *decoder, uint32_t *status, Bytes in, int depth)
{
    Field field;
    int found;
    if (--depth < 0)
        return malformed(decoder, "messages are nested too deeply");
    while ((found = next_field(decoder, &in, &field, depth)) > 0) {
        if (field.number == 3 && field.wire == VARINT)
            *status = (uint32_t)field.number_value;
        else if (field.number == 2 && field.wire == LENGTH_DELIMITED &&
                 check_text(decoder, field.bytes) < 0)
            return -1;
    }
    return found;
}

static int
read_span_member(Decoder *decoder, Span *span, const Field *field, int depth)
{
    switch (FIELD(field->number, field->wire)) {
    case FIELD(1, LENGTH_DELIMITED):
        span->trace_id = field->bytes;
        return 0;
    case FIELD(2, LENGTH_DELIMITED):
        span->span_id = field->bytes;
        return 0;
    case FIELD(3, LENGTH_DELIMITED): /* trace_state */
        return check_text(decoder, field->bytes);
    case FIELD(4, LENGTH_DELIMITED):
        span->parent_span_id = field->bytes;
        return 0;
    case FIELD(5, LENGTH_DELIMITED):
        span->name = field->bytes;
        return check_text(decoder, field->bytes);
    case FIELD(6, VARINT):
        span->kind = (uint32_t)field->number_value;
        return 0;
    case FIELD(7, FIXED64):
        span->start_ns = field->number_value;
        return 0;
    case FIELD(8, FIXED64):
        span->end_ns = field->number_value;
        return 0;
    case FIELD(9, LENGTH_DELIMITED):
        return read_key_value(decoder, span->attributes, field->bytes, depth);
    case FIELD(10, VARINT):
        span->dropped_attributes = (uint32_t)field->number_value;
        return 0;
    case FIELD(11, LENGTH_DELIMITED):
        return count_attribute(decoder) < 0 ? -1 : check(decoder, EVENT, field->bytes, depth);
    case FIELD(13, LENGTH_DELIMITED):
        return count_attribute(decoder) < 0 ? -1 : check(decoder, LINK, field->bytes, depth);
    case FIELD(15, LENGTH_DELIMITED):
        return read_status(decoder, &span->status, field->bytes, depth);
    default:
        return 0;
    }
}

/* A named tuple of `count` items, which are taken over, and of which some are NULL after an exception. */
static PyObject *
new_record(State *state, int record, PyObject **items, Py_ssize_t count)
{
    PyObject *made = NULL;
    int complete = 1;
    for (Py_ssize_t i = 0; i < count; i++)
        complete = complete && items[i] != NULL;
    if (complete)
        made = state->allocs[record]((PyTypeObject *)state->types[record], count);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (made != NULL)
            PyTuple_SetItem(made, i, items[i]);
        else
            Py_XDECREF(items[i]);
    }
    return made;
}

static PyObject *
new_span(Decoder *decoder, const Span *span, const Shared *shared)
{
    PyObject *items[SPAN_FIELDS] = {
        new_bytes(span->trace_id),
        new_bytes(span->span_id),
        new_bytes(span->parent_span_id),
        kept_text(decoder, span->name),
        PyLong_FromUnsignedLongLong(span->start_ns),
        PyLong_FromUnsignedLongLong(span->end_ns),
        PyBool_FromLong(span->status == STATUS_ERROR),
        Py_NewRef(span->attributes),
        Py_NewRef(shared->resource),
        Py_NewRef(shared->scope_name),
        Py_NewRef(shared->scope_version),
        PyLong_FromUnsignedLong(span->dropped_attributes),
        PyLong_FromLong((int32_t)span->kind),
    };
    return new_record(decoder->state, RECORD_SPAN, items, SPAN_FIELDS);
}

static PyObject *
new_replay(Decoder *decoder, Bytes span, const Shared *shared)
{
    PyObject *items[REPLAY_FIELDS] = {
        Py_NewRef(decoder->body),
        PyLong_FromSsize_t(span.at - decoder->start),
        PyLong_FromSsize_t(span.end - decoder->start),
        Py_NewRef(shared->enclosing),
    };
    return new_record(decoder->state, RECORD_REPLAY, items, REPLAY_FIELDS);
}

static int
add_received(Decoder *decoder, PyObject *span, PyObject *replay)
{
    PyObject *items[RECEIVED_FIELDS] = {span, replay};
    PyObject *received = new_record(decoder->state, RECORD_RECEIVED, items, RECEIVED_FIELDS);
    int done = received == NULL ? -1 : PyList_Append(decoder->received, received);
    Py_XDECREF(received);
    return done;
}

static int
decode_span(Decoder *decoder, Bytes in, const Shared *shared, int depth)
{
    Bytes none = {in.at, in.at}, whole = in;
    Span span = {none, none, none, none, 0, 0, 0, 0, 0, PyDict_New()};
    Field field;
    int found = -1;
    if (span.attributes == NULL)
        return -1;
    if (--depth < 0)
        malformed(decoder, "messages are nested too deeply");
    else
        while ((found = next_field(decoder, &in, &field, depth)) > 0)
            if (read_span_member(decoder, &span, &field, depth) < 0) {
                found = -1;
                break;
            }
    if (found == 0)
        found = add_received(
            decoder, new_span(decoder, &span, shared), new_replay(decoder, whole, shared));
    Py_DECREF(span.attributes);
    return found;
}

/* ---- Scopes and resources. Their members come in any order, and in pieces that make one message together. ---- */

/* All occurrences of a member as one: messages that are concatenated are messages that are merged. */
static PyObject *
joined(Decoder *decoder, Bytes in, uint32_t number, int depth)
{
    Field field;
    Py_ssize_t size = 0;
    for (Bytes left = in; next_field(decoder, &left, &field, depth) > 0;)
        if (field.number == number && field.wire == LENGTH_DELIMITED)
            size += field.bytes.end - field.bytes.at;
    PyObject *whole = PyErr_Occurred() ? NULL : PyBytes_FromStringAndSize(NULL, size);
    if (whole == NULL)
        return NULL;
    char *to = PyBytes_AsString(whole);
    for (Bytes left = in; next_field(decoder, &left, &field, depth) > 0;)
        if (field.number == number && field.wire == LENGTH_DELIMITED) {
            memcpy(to, field.bytes.at, (size_t)(field.bytes.end - field.bytes.at));
            to += field.bytes.end - field.bytes.at;
        }
    return whole;
}

typedef int (*ReadMember)(Decoder *, void *into, const Field *, int depth);

static int
read_message(Decoder *decoder, Bytes in, ReadMember read, void *into, int depth)
{
    Field field;
    int found;
    if (--depth < 0)
        return malformed(decoder, "messages are nested too deeply");
    while ((found = next_field(decoder, &in, &field, depth)) > 0)
        if (field.wire == LENGTH_DELIMITED && read(decoder, into, &field, depth) < 0)
            return -1;
    return found;
}

typedef struct {
    Bytes name, version, schema_url;
    PyObject *resource, *resource_schema_url, *resource_bytes; /* borrowed */
} Scope;

static int
read_scope_member(Decoder *decoder, void *into, const Field *field, int depth)
{
    Scope *scope = into;
    if (field->number == 1)
        scope->name = field->bytes;
    if (field->number == 2)
        scope->version = field->bytes;
    if (field->number == 1 || field->number == 2)
        return check_text(decoder, field->bytes);
    if (field->number == 3)
        return count_attribute(decoder) < 0 ? -1 : check(decoder, KEY_VALUE, field->bytes, depth);
    return 0;
}

static int
read_scope_spans_member(Decoder *decoder, void *into, const Field *field, int depth)
{
    Scope *scope = into;
    if (field->number == 1)
        return read_message(decoder, field->bytes, read_scope_member, scope, depth);
    if (field->number == 3) {
        scope->schema_url = field->bytes;
        return check_text(decoder, field->bytes);
    }
    return 0;
}

/* Spans that are decoded in one go, a tenth of a millisecond; then a thread that is to feed the database may go on. */
enum { TURN = 32 };

static int
read_spans_member(Decoder *decoder, void *into, const Field *field, int depth)
{
    if (field->number != 2)
        return 0;
    if (++decoder->decoded % TURN == 0) {
        Py_BEGIN_ALLOW_THREADS
        Py_END_ALLOW_THREADS
    }
    return decode_span(decoder, field->bytes, into, depth);
}

static int
decode_spans_of_scope(Decoder *decoder, Bytes in, const Scope *scope, int depth)
{
    PyObject *bytes = joined(decoder, in, 1, depth - 1);
    PyObject *schema_url = kept_text(decoder, scope->schema_url);
    Shared shared = {
        scope->resource,
        kept_text(decoder, scope->name),
        kept_text(decoder, scope->version),
        NULL,
    };
    int done = -1;
    if (bytes && schema_url && shared.scope_name && shared.scope_version)
        shared.enclosing = PyObject_CallFunctionObjArgs(decoder->state->enclosing,
            scope->resource_bytes, scope->resource_schema_url, bytes, schema_url, NULL);
    if (shared.enclosing)
        done = read_message(decoder, in, read_spans_member, &shared, depth);
    Py_XDECREF(bytes);
    Py_XDECREF(schema_url);
    Py_XDECREF(shared.scope_name);
    Py_XDECREF(shared.scope_version);
    Py_XDECREF(shared.enclosing);
    return done;
}

static int
decode_scope_spans(Decoder *decoder, Bytes in, const Scope *resource, int depth)
{
    Scope scope = *resource;
    if (count_attribute(decoder) < 0 ||
        read_message(decoder, in, read_scope_spans_member, &scope, depth) < 0)
        return -1;
    return decode_spans_of_scope(decoder, in, &scope, depth);
}

typedef struct {
    Bytes schema_url;
    PyObject *attributes;
} Resource;

static int
read_resource_member(Decoder *decoder, void *into, const Field *field, int depth)
{
    Resource *resource = into;
    if (field->number == 1)
        return read_key_value(decoder, resource->attributes, field->bytes, depth);
    if (field->number == 3)
        return count_attribute(decoder) < 0 ? -1 : check(decoder, ENTITY, field->bytes, depth);
    return 0;
}

static int
read_resource_spans_member(Decoder *decoder, void *into, const Field *field, int depth)
{
    Resource *resource = into;
    if (field->number == 1)
        return read_message(decoder, field->bytes, read_resource_member, resource, depth);
    if (field->number == 3) {
        resource->schema_url = field->bytes;
        return check_text(decoder, field->bytes);
    }
    return 0;
}

static int
read_scopes_member(Decoder *decoder, void *into, const Field *field, int depth)
{
    return field->number == 2 ? decode_scope_spans(decoder, field->bytes, into, depth) : 0;
}

static int
decode_resource_spans(Decoder *decoder, Bytes in, int depth)
{
    Bytes none = {in.at, in.at};
    Resource resource = {none, PyDict_New()};
    Scope scope = {none, none, none, resource.attributes, NULL, NULL};
    int done = -1;
    if (resource.attributes != NULL && count_attribute(decoder) == 0 &&
        read_message(decoder, in, read_resource_spans_member, &resource, depth) == 0) {
        scope.resource_schema_url = kept_text(decoder, resource.schema_url);
        scope.resource_bytes = joined(decoder, in, 1, depth - 1);
        if (scope.resource_schema_url && scope.resource_bytes)
            done = read_message(decoder, in, read_scopes_member, &scope, depth);
    }
    Py_XDECREF(resource.attributes);
    Py_XDECREF(scope.resource_schema_url);
    Py_XDECREF(scope.resource_bytes);
    return done;
}

/* ---- The request. ---- */

/* Before anything is made: a span takes some hundred times the memory that an empty one has bytes. */
static int
count_spans(Decoder *decoder, Bytes in, int level, int depth)
{
    Field field;
    int found;
    while ((found = next_field(decoder, &in, &field, depth)) > 0) {
        if (field.wire != LENGTH_DELIMITED || field.number != (level == 0 ? 1 : 2))
            continue;
        if (level == 2)
            decoder->spans++;
        else if (count_spans(decoder, field.bytes, level + 1, depth - 1) < 0)
            return -1;
    }
    return found;
}

static int
decode_request(Decoder *decoder, Bytes in, Py_ssize_t max_spans)
{
    Field field;
    int found;
    if (count_spans(decoder, in, 0, MAX_DEPTH) < 0)
        return -1;
    if (decoder->spans > max_spans) {
        PyErr_Format(decoder->state->too_large, "%zd spans", decoder->spans);
        return -1;
    }
    while ((found = next_field(decoder, &in, &field, MAX_DEPTH)) > 0)
        if (field.number == 1 && field.wire == LENGTH_DELIMITED &&
            decode_resource_spans(decoder, field.bytes, MAX_DEPTH) < 0)
            return -1;
    return found;
}

PyDoc_STRVAR(decode_doc,
"decode(body, max_spans, max_attributes, /)\n--\n\n"
"The spans of a serialized ExportTraceServiceRequest.");

static PyObject *
decode(PyObject *module, PyObject *arguments)
{
    State *state = PyModule_GetState(module);
    Decoder decoder = {.state = state};
    Py_ssize_t max_spans;
    if (!PyArg_ParseTuple(arguments, "Snn:decode", &decoder.body, &max_spans, &decoder.max_attributes))
        return NULL;
    if (state->enclosing == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "bind was not called");
        return NULL;
    }
    decoder.start = (const uint8_t *)PyBytes_AsString(decoder.body);
    decoder.received = PyList_New(0);
    if (decoder.received == NULL)
        return NULL;
    Bytes in = {decoder.start, decoder.start + PyBytes_Size(decoder.body)};
    if (decode_request(&decoder, in, max_spans) < 0)
        Py_CLEAR(decoder.received);
    return decoder.received;
}

/* ---- The module. ---- */

static void
replace(PyObject **place, PyObject *object)
{
    PyObject *before = *place;
    *place = Py_NewRef(object);
    Py_XDECREF(before);
}

static int
bind_record(State *state, int record, PyObject *type)
{
    if (!PyType_Check(type) || !PyType_IsSubtype((PyTypeObject *)type, &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "a record is a named tuple");
        return -1;
    }
    replace(&state->types[record], type);
    state->allocs[record] = (allocfunc)PyType_GetSlot((PyTypeObject *)type, Py_tp_alloc);
    return 0;
}

PyDoc_STRVAR(bind_doc,
"bind(span, received, replay, enclosing, malformed, too_large, /)\n--\n\n"
"Set the types that decode makes and raises.");

static PyObject *
bind(PyObject *module, PyObject *arguments)
{
    State *state = PyModule_GetState(module);
    PyObject *span, *received, *replay, *enclosing, *wrong, *too_large;
    if (!PyArg_ParseTuple(
            arguments, "OOOOOO:bind", &span, &received, &replay, &enclosing, &wrong, &too_large))
        return NULL;
    if (bind_record(state, RECORD_SPAN, span) < 0 ||
        bind_record(state, RECORD_RECEIVED, received) < 0 ||
        bind_record(state, RECORD_REPLAY, replay) < 0)
        return NULL;
    replace(&state->enclosing, enclosing);
    replace(&state->malformed, wrong);
    replace(&state->too_large, too_large);
    Py_RETURN_NONE;
}

static int
traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    for (int record = 0; record < RECORDS; record++)
        Py_VISIT(state->types[record]);
    Py_VISIT(state->enclosing);
    Py_VISIT(state->malformed);
    Py_VISIT(state->too_large);
    return 0;
}

static int
clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    for (int record = 0; record < RECORDS; record++)
        Py_CLEAR(state->types[record]);
    Py_CLEAR(state->enclosing);
    Py_CLEAR(state->malformed);
    Py_CLEAR(state->too_large);
    for (int slot = 0; slot < TEXTS; slot++)
        Py_CLEAR(state->texts[slot].text);
    return 0;
}

static void
release(void *module)
{
    clear(module);
}

/* Compared with the types at hand before anything is decoded, so that an outdated build is noticed. */
static const char LAYOUT[] =
    "trace_id span_id parent_span_id name start_ns end_ns failed attributes resource scope_name scope_version "
    "dropped_attributes kind, span payload, body start end enclosing";

static int
set_layout(PyObject *module)
{
    return PyModule_AddStringConstant(module, "LAYOUT", LAYOUT);
}

static PyMethodDef methods[] = {
    {"bind", bind, METH_VARARGS, bind_doc},
    {"decode", decode, METH_VARARGS, decode_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, set_layout},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "spanmeter.collector_receiver._otlp",
    .m_size = sizeof(State),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = release,
};

PyMODINIT_FUNC
PyInit__otlp(void)
{
    return PyModuleDef_Init(&definition);
}
