/* The bytes of a span, without a Python object for every part on the way.

   It writes exactly what encoding.py writes in Python; a differential test holds it to that. Source of the encoding:
   protobuf.dev/programming-guides/encoding; of the messages: opentelemetry-proto, trace/v1/trace.proto and
   common/v1/common.proto. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

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

PyDoc_STRVAR(span_doc,
"span(trace_id, span_id, parent_span_id, name, kind, start_ns, end_ns, encoded, attributes, rest, trace_flags, other, /)\n"
"--\n\n"
"A Span message. `name` and `encoded` are fields that stand before, `rest` those that stand after the attributes;\n"
"`other` is that of encoded_attributes. Raises OverflowError for a number that has no place in its field.");

enum { TRACE_ID, SPAN_ID, PARENT, NAME, KIND, START, END, ENCODED, ATTRIBUTES_OF, REST, TRACE_FLAGS, OTHER, ARGUMENTS };

/* The numbers among the arguments; -1 with an exception. */
static int
numbers(PyObject *const *arguments, uint64_t *number)
{
    static const int which[] = {SPAN_ID, PARENT, KIND, START, END, TRACE_FLAGS};
    for (size_t each = 0; each < sizeof which / sizeof *which; each++) {
        number[which[each]] = PyLong_AsUnsignedLongLong(arguments[which[each]]);
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
    uint64_t number[ARGUMENTS];
    PyObject *encoded = NULL;
    Out out;
    if (count != ARGUMENTS || !PyDict_Check(arguments[ATTRIBUTES_OF])) {
        PyErr_SetString(PyExc_TypeError, "span takes 12 arguments, the attributes as a dict");
        return NULL;
    }
    if (numbers(arguments, number) < 0)
        return NULL;
    begin(&out);
    if (put_trace_id(&out, arguments[TRACE_ID]) == 0 && put_span_id(&out, 0x12, number[SPAN_ID]) == 0 &&
        put_object(&out, arguments[NAME]) == 0 &&
        put_kind_and_times(&out, (unsigned int)number[KIND], number[START], number[END]) == 0 &&
        put_object(&out, arguments[ENCODED]) == 0 &&
        (number[PARENT] == 0 || put_span_id(&out, 0x22, number[PARENT]) == 0) &&
        put_attributes(&out, arguments[ATTRIBUTES_OF], arguments[OTHER]) == 0 &&
        put_object(&out, arguments[REST]) == 0 &&
        (number[TRACE_FLAGS] == 0 || put_flags(&out, (uint32_t)number[TRACE_FLAGS]) == 0))
        encoded = PyBytes_FromStringAndSize((char *)out.bytes, (Py_ssize_t)out.size);
    end(&out);
    return encoded;
}

/* Asked for before anything is encoded, so that an outdated build is noticed. */
static int
set_revision(PyObject *module)
{
    return PyModule_AddIntConstant(module, "REVISION", 1);
}

static PyMethodDef methods[] = {
    {"encoded_attributes", encoded_attributes, METH_VARARGS, attributes_doc},
    {"span", (PyCFunction)(void (*)(void))span, METH_FASTCALL, span_doc},
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
