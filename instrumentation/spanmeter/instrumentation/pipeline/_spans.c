/* The bytes of a span, without a Python object for every part on the way, and their way into a file.

   It writes exactly what python_spans.py writes; a differential test holds it to that. Source of the encoding:
   protobuf.dev/programming-guides/encoding; of the messages: opentelemetry-proto, trace/v1/trace.proto and
   common/v1/common.proto; of frames: frames.py. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* ---- Bytes that grow: on the stack first, where nearly all spans have their place. ---- */

enum { ON_STACK = 4096 };

typedef struct {
    uint8_t *bytes;
    size_t size, room;
    uint8_t stack[ON_STACK];
} Out;

static void
begin(Out *out)
{
    out->bytes = out->stack;
    out->size = 0;
    out->room = ON_STACK;
}

static void
end(Out *out)
{
    if (out->bytes != out->stack)
        PyMem_Free(out->bytes);
}

/* Where `size` more bytes can be written; NULL with an exception. */
static uint8_t *
more(Out *out, size_t size)
{
    if (out->room - out->size < size) {
        size_t room = 2 * (out->size + size);
        int was_on_stack = out->bytes == out->stack;
        uint8_t *bytes = PyMem_Realloc(was_on_stack ? NULL : out->bytes, room);
        if (bytes == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        if (was_on_stack)
            memcpy(bytes, out->stack, out->size);
        out->bytes = bytes;
        out->room = room;
    }
    return out->bytes + out->size;
}

static int
put_bytes(Out *out, const void *bytes, size_t size)
{
    uint8_t *at = more(out, size);
    if (at == NULL)
        return -1;
    memcpy(at, bytes, size);
    out->size += size;
    return 0;
}

static int
put_object(Out *out, PyObject *bytes)
{
    char *at;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(bytes, &at, &size) < 0)
        return -1;
    return put_bytes(out, at, (size_t)size);
}

/* ---- The wire format. ---- */

static size_t
varint_size(uint64_t value)
{
    size_t size = 1;
    while (value >>= 7)
        size++;
    return size;
}

static uint8_t *
varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static uint8_t *
fixed64(uint8_t *at, uint64_t value)
{
    for (int byte = 0; byte < 8; byte++)
        *at++ = (uint8_t)(value >> 8 * byte);
    return at;
}

static uint8_t *
big_endian(uint8_t *at, uint64_t value)
{
    for (int byte = 7; byte >= 0; byte--)
        *at++ = (uint8_t)(value >> 8 * byte);
    return at;
}

/* ---- Attributes. ---- */

enum { ATTRIBUTES = 0x4A, KEY = 0x0A, VALUE = 0x12 };
enum { STRING = 0x0A, BOOL = 0x10, INT = 0x18, DOUBLE = 0x21 };

/* One field `Span.attributes`, up to a value of `size` bytes after its tag (and its length, if it has one). */
static uint8_t *
before_value(Out *out, const char *name, size_t name_size, uint8_t tag, size_t size)
{
    size_t any = 1 + (tag == STRING ? varint_size(size) : 0) + size;
    size_t key_value = 1 + varint_size(name_size) + name_size + 1 + varint_size(any) + any;
    uint8_t *at = more(out, 1 + varint_size(key_value) + key_value);
    if (at == NULL)
        return NULL;
    *at++ = ATTRIBUTES;
    at = varint(at, key_value);
    *at++ = KEY;
    at = varint(at, name_size);
    memcpy(at, name, name_size);
    at += name_size;
    *at++ = VALUE;
    at = varint(at, any);
    *at++ = tag;
    if (tag == STRING)
        at = varint(at, size);
    return at;
}

static int
written(Out *out, uint8_t *end)
{
    out->size = (size_t)(end - out->bytes);
    return 0;
}

/* What `other` makes of an attribute: for values of types that are rare, and texts that are no Unicode. */
static int
put_other(Out *out, PyObject *other, PyObject *name, PyObject *value)
{
    PyObject *field = PyObject_CallFunctionObjArgs(other, name, value, NULL);
    if (field == NULL)
        return -1;
    int done = put_object(out, field);
    Py_DECREF(field);
    return done;
}

/* The text in UTF-8; NULL without an exception where it has none. */
static const char *
utf8(PyObject *text, Py_ssize_t *size)
{
    const char *bytes = PyUnicode_AsUTF8AndSize(text, size);
    if (bytes == NULL && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
        PyErr_Clear();
    return bytes;
}

static int
put_attribute(Out *out, PyObject *other, PyObject *name, PyObject *value)
{
    Py_ssize_t name_size, size;
    PyTypeObject *type = Py_TYPE(value);
    const char *key = Py_IS_TYPE(name, &PyUnicode_Type) ? utf8(name, &name_size) : NULL;
    uint8_t *at;

    if (key == NULL)
        return PyErr_Occurred() ? -1 : put_other(out, other, name, value);
    if (type == &PyUnicode_Type) {
        const char *text = utf8(value, &size);
        if (text == NULL)
            return PyErr_Occurred() ? -1 : put_other(out, other, name, value);
        if ((at = before_value(out, key, (size_t)name_size, STRING, (size_t)size)) == NULL)
            return -1;
        memcpy(at, text, (size_t)size);
        return written(out, at + size);
    }
    if (type == &PyLong_Type) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow)
            return put_other(out, other, name, value);
        size_t number_size = varint_size((uint64_t)number);
        if ((at = before_value(out, key, (size_t)name_size, INT, number_size)) == NULL)
            return -1;
        return written(out, varint(at, (uint64_t)number));
    }
    if (type == &PyFloat_Type) {
        double number = PyFloat_AsDouble(value);
        uint64_t bits;
        memcpy(&bits, &number, sizeof bits);
        if ((at = before_value(out, key, (size_t)name_size, DOUBLE, 8)) == NULL)
            return -1;
        return written(out, fixed64(at, bits));
    }
    if (type == &PyBool_Type) {
        if ((at = before_value(out, key, (size_t)name_size, BOOL, 1)) == NULL)
            return -1;
        *at = value == Py_True;
        return written(out, at + 1);
    }
    return put_other(out, other, name, value);
}

static int
put_attributes(Out *out, PyObject *attributes, PyObject *other)
{
    PyObject *name, *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(attributes, &position, &name, &value)) {
        /* `other` may run code of the application's. */
        Py_INCREF(name);
        Py_INCREF(value);
        int done = put_attribute(out, other, name, value);
        Py_DECREF(name);
        Py_DECREF(value);
        if (done < 0)
            return -1;
    }
    return 0;
}

PyDoc_STRVAR(attributes_doc,
"encoded_attributes(attributes, other, /)\n--\n\n"
"The members of a dict as fields of a Span message; `other` is given a name and a value, and makes the\n"
"field of what is no plain text, number or bool.");

static PyObject *
encoded_attributes(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *attributes, *other, *encoded = NULL;
    Out out;
    if (!PyArg_ParseTuple(arguments, "O!O:encoded_attributes", &PyDict_Type, &attributes, &other))
        return NULL;
    begin(&out);
    if (put_attributes(&out, attributes, other) == 0)
        encoded = PyBytes_FromStringAndSize((char *)out.bytes, (Py_ssize_t)out.size);
    end(&out);
    return encoded;
}

/* ---- Spans. ---- */

static int
put_trace_id(Out *out, PyObject *id)
{
    uint64_t low = PyLong_AsUnsignedLongLongMask(id);
    PyObject *bits = PyErr_Occurred() ? NULL : PyLong_FromLong(64);
    PyObject *upper = bits != NULL ? PyNumber_Rshift(id, bits) : NULL;
    Py_XDECREF(bits);
    if (upper == NULL)
        return -1;
    uint64_t high = PyLong_AsUnsignedLongLong(upper);
    Py_DECREF(upper);
    uint8_t *at = PyErr_Occurred() ? NULL : more(out, 18);
    if (at == NULL)
        return -1;
    *at++ = 0x0A;
    *at++ = 16;
    return written(out, big_endian(big_endian(at, high), low));
}

static int
put_span_id(Out *out, uint8_t tag, uint64_t id)
{
    uint8_t *at = more(out, 10);
    if (at == NULL)
        return -1;
    *at++ = tag;
    *at++ = 8;
    return written(out, big_endian(at, id));
}

static int
put_kind_and_times(Out *out, unsigned int kind, uint64_t start, uint64_t end)
{
    uint8_t *at = more(out, 20);
    if (at == NULL)
        return -1;
    *at++ = 0x30;
    *at++ = (uint8_t)kind;
    *at++ = 0x39;
    at = fixed64(at, start);
    *at++ = 0x41;
    return written(out, fixed64(at, end));
}

static int
put_flags(Out *out, uint32_t flags)
{
    uint8_t *at = more(out, 6);
    if (at == NULL)
        return -1;
    *at++ = 0x85;
    *at++ = 0x01;
    for (int byte = 0; byte < 4; byte++)
        *at++ = (uint8_t)(flags >> 8 * byte);
    return written(out, at);
}

/* `PRODUCER_SEQUENCE` of attributes.py. */
static const char SEQUENCE_NAME[] = "usage.producer.sequence";

static int
put_sequence(Out *out, uint64_t sequence)
{
    uint8_t *at = before_value(out, SEQUENCE_NAME, sizeof SEQUENCE_NAME - 1, INT, varint_size(sequence));
    return at == NULL ? -1 : written(out, varint(at, sequence));
}

PyDoc_STRVAR(span_doc,
"span(fields, sequence, other, /)\n--\n\n"
"A Span message. `fields` are trace_id, span_id, parent_span_id, name, kind, start_ns, end_ns, encoded, attributes, rest\n"
"and trace_flags: `name` and `encoded` are fields that stand before, `rest` those that stand after the attributes. A\n"
"`sequence` other than 0 is an attribute at its end; `other` is that of encoded_attributes. Raises OverflowError for a\n"
"number that has no place in its field.");

enum { TRACE_ID, SPAN_ID, PARENT, NAME, KIND, START, END, ENCODED, ATTRIBUTES_OF, REST, TRACE_FLAGS, FIELDS };

/* The numbers among the arguments; -1 with an exception. */
static int
numbers(PyObject *const *field, uint64_t *number)
{
    static const int which[] = {SPAN_ID, PARENT, KIND, START, END, TRACE_FLAGS};
    for (size_t each = 0; each < sizeof which / sizeof *which; each++) {
        number[which[each]] = PyLong_AsUnsignedLongLong(field[which[each]]);
        if (PyErr_Occurred())
            return -1;
    }
    if (number[KIND] > 0x7F || number[TRACE_FLAGS] > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "kind or trace_flags is too large");
        return -1;
    }
    return 0;
}

static PyObject *
span(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    uint64_t number[FIELDS], sequence;
    PyObject *field[FIELDS], *encoded = NULL;
    Out out;
    if (count != 3 || !PyTuple_Check(arguments[0]) || PyTuple_Size(arguments[0]) != FIELDS) {
        PyErr_SetString(PyExc_TypeError, "span takes a tuple of 11 fields, a number and a function");
        return NULL;
    }
    for (int each = 0; each < FIELDS; each++)
        field[each] = PyTuple_GetItem(arguments[0], each);
    if (!PyDict_Check(field[ATTRIBUTES_OF])) {
        PyErr_SetString(PyExc_TypeError, "the attributes of a span are a dict");
        return NULL;
    }
    sequence = PyLong_AsUnsignedLongLong(arguments[1]);
    if (PyErr_Occurred() || numbers(field, number) < 0)
        return NULL;
    begin(&out);
    if (put_trace_id(&out, field[TRACE_ID]) == 0 && put_span_id(&out, 0x12, number[SPAN_ID]) == 0 &&
        put_object(&out, field[NAME]) == 0 &&
        put_kind_and_times(&out, (unsigned int)number[KIND], number[START], number[END]) == 0 &&
        put_object(&out, field[ENCODED]) == 0 &&
        (number[PARENT] == 0 || put_span_id(&out, 0x22, number[PARENT]) == 0) &&
        put_attributes(&out, field[ATTRIBUTES_OF], arguments[2]) == 0 &&
        put_object(&out, field[REST]) == 0 &&
        (number[TRACE_FLAGS] == 0 || put_flags(&out, (uint32_t)number[TRACE_FLAGS]) == 0) &&
        (sequence == 0 || put_sequence(&out, sequence) == 0))
        encoded = PyBytes_FromStringAndSize((char *)out.bytes, (Py_ssize_t)out.size);
    end(&out);
    return encoded;
}

/* ---- Frames, in a file. ---- */

enum { FRAME_HEADER = 16, CHECKED_FROM = 8 };
static const uint8_t MARKER[] = {0xF5, 'S', 'M', 0xFA};

/* CRC-32 as of zlib, whose own is not to be had without linking it: a byte at a time. */
static uint32_t crc_of_byte[256];

static void
prepare_crc(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
        crc_of_byte[byte] = crc;
    }
}

static uint32_t
crc32_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t at = 0; at < size; at++)
        crc = crc >> 8 ^ crc_of_byte[(crc ^ bytes[at]) & 0xFF];
    return ~crc;
}

static void
little_endian(uint8_t *at, uint32_t value, int size)
{
    for (int byte = 0; byte < size; byte++)
        at[byte] = (uint8_t)(value >> 8 * byte);
}

/* Writes all of it; -1 with an exception. */
static int
write_at(int descriptor, const Out *out, long long at)
{
    ssize_t done;
    int error;
    Py_BEGIN_ALLOW_THREADS
    do {
        done = pwrite(descriptor, out->bytes, out->size, (off_t)at);
    } while (done < 0 && errno == EINTR);
    error = errno;
    Py_END_ALLOW_THREADS
    if (done >= 0 && (size_t)done != out->size) {
        PyErr_SetString(PyExc_OSError, "a frame was not written whole");
        return -1;
    }
    errno = error;
    if (done < 0)
        PyErr_SetFromErrno(PyExc_OSError);
    return done < 0 ? -1 : 0;
}

PyDoc_STRVAR(append_frame_doc,
"append_frame(descriptor, at, room, kind, scope, payload, /)\n--\n\n"
"Writes a frame into a file, at a position: where it ends; 0 where that would be beyond `room`, and nothing is written.\n"
"Raises OSError, and OverflowError for a number that has no place in its field.");

static PyObject *
append_frame(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    long long number[5];
    char *payload;
    Py_ssize_t size;
    Out out;
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "append_frame takes 6 arguments");
        return NULL;
    }
    for (int each = 0; each < 5; each++) {
        number[each] = PyLong_AsLongLong(arguments[each]);
        if (PyErr_Occurred())
            return NULL;
    }
    if (PyBytes_AsStringAndSize(arguments[5], &payload, &size) < 0)
        return NULL;
    if (number[3] < 0 || number[3] > UINT16_MAX || number[4] < 0 || number[4] > UINT16_MAX || size > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "kind, scope or payload is too large");
        return NULL;
    }
    long long ends = number[1] + FRAME_HEADER + size;
    if (ends > number[2])
        return PyLong_FromLong(0);
    begin(&out);
    uint8_t *frame = more(&out, FRAME_HEADER + (size_t)size);
    int done = -1;
    if (frame != NULL) {
        memcpy(frame, MARKER, sizeof MARKER);
        little_endian(frame + 8, (uint32_t)size, 4);
        little_endian(frame + 12, (uint32_t)number[3], 2);
        little_endian(frame + 14, (uint32_t)number[4], 2);
        memcpy(frame + FRAME_HEADER, payload, (size_t)size);
        out.size = FRAME_HEADER + (size_t)size;
        little_endian(frame + 4, crc32_of(frame + CHECKED_FROM, out.size - CHECKED_FROM), 4);
        done = write_at((int)number[0], &out, number[1]);
    }
    end(&out);
    return done < 0 ? NULL : PyLong_FromLongLong(ends);
}

/* Asked for before anything is encoded, so that an outdated build is noticed. */
static int
set_revision(PyObject *module)
{
    prepare_crc();
    return PyModule_AddIntConstant(module, "REVISION", 2);
}

static PyMethodDef methods[] = {
    {"encoded_attributes", encoded_attributes, METH_VARARGS, attributes_doc},
    {"span", (PyCFunction)(void (*)(void))span, METH_FASTCALL, span_doc},
    {"append_frame", (PyCFunction)(void (*)(void))append_frame, METH_FASTCALL, append_frame_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, set_revision},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "spanmeter.instrumentation.pipeline._spans",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__spans(void)
{
    return PyModuleDef_Init(&definition);
}
