/* Rows in PostgreSQL's binary form of COPY, without a Python object for every value on the way.

   It writes what psycopg's own dumpers write, byte for byte, for the values that rows of usage are made of; any other
   value is handed to psycopg's dumper of its column. A differential test holds it to that. Source of the form:
   postgresql.org/docs/current/sql-copy.html, "Binary Format"; of the values: the _recv functions of
   src/backend/utils/adt (timestamp.c, numeric.c, jsonb.c). */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* What a column holds, by the letter it is called with. */
enum {
    TEXT = 's',
    BYTEA = 'b',
    BIGINT = 'q',
    INTEGER = 'l',
    BOOLEAN = '?',
    TIMESTAMPTZ = 't',
    INTERVAL = 'v',
    NUMERIC = 'n',
    JSONB = 'j'
};

typedef struct {
    PyObject *epoch, *timedelta, *decimal; /* 2000-01-01 UTC, and the types */
    PyObject *days, *seconds, *microseconds; /* names of attributes */
} State;

/* ---- What is written. ---- */

typedef struct {
    uint8_t *bytes;
    size_t size, room;
} Out;

static uint8_t *
more(Out *out, size_t size)
{
    if (out->room - out->size < size) {
        size_t room = 2 * out->room + size;
        uint8_t *bytes = PyMem_Realloc(out->bytes, room);
        if (bytes == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        out->bytes = bytes;
        out->room = room;
    }
    uint8_t *at = out->bytes + out->size;
    out->size += size;
    return at;
}

static inline uint8_t *
put_number(uint8_t *at, uint64_t value, int size)
{
    for (int i = size; i-- > 0; value >>= 8)
        at[i] = (uint8_t)value;
    return at + size;
}

/* A field of so many bytes, which are to be written where it says. */
static inline uint8_t *
field(Out *out, size_t size)
{
    uint8_t *at = more(out, 4 + size);
    return at == NULL ? NULL : put_number(at, size, 4);
}

static inline int
put_field(Out *out, const void *bytes, size_t size)
{
    uint8_t *at = field(out, size);
    if (at == NULL)
        return -1;
    memcpy(at, bytes, size);
    return 1;
}

static inline int
put_null(Out *out)
{
    uint8_t *at = more(out, 4);
    if (at == NULL)
        return -1;
    put_number(at, UINT32_MAX, 4);
    return 1;
}

/* ---- Values. Each writes one: 1 if it did, 0 if the value is one for psycopg, -1 with an exception. ---- */

/* Whatever kept us from reading a value keeps psycopg from it too, and it says so in its own words. */
static int
for_psycopg(void)
{
    PyErr_Clear();
    return 0;
}

static int
put_text(Out *out, PyObject *value, int is_json)
{
    Py_ssize_t size;
    if (!PyUnicode_CheckExact(value))
        return 0;
    const char *bytes = PyUnicode_AsUTF8AndSize(value, &size);
    if (bytes == NULL)
        return for_psycopg();
    uint8_t *at = field(out, (size_t)size + (is_json ? 1 : 0));
    if (at == NULL)
        return -1;
    if (is_json)
        *at++ = 1; /* the version of jsonb's form */
    memcpy(at, bytes, (size_t)size);
    return 1;
}

static int
put_bytea(Out *out, PyObject *value)
{
    if (!PyBytes_CheckExact(value))
        return 0;
    return put_field(out, PyBytes_AsString(value), (size_t)PyBytes_Size(value));
}

static int
put_integer(Out *out, PyObject *value, int size)
{
    if (!PyLong_CheckExact(value))
        return 0;
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow || (size == 4 && (number < INT32_MIN || number > INT32_MAX)))
        return 0;
    uint8_t *at = field(out, (size_t)size);
    if (at == NULL)
        return -1;
    put_number(at, (uint64_t)number, size);
    return 1;
}

static int
put_boolean(Out *out, PyObject *value)
{
    if (value != Py_True && value != Py_False)
        return 0;
    uint8_t byte = value == Py_True;
    return put_field(out, &byte, 1);
}

/* 0, or -1 without an exception. */
static int
attribute(PyObject *value, PyObject *name, int64_t *number)
{
    PyObject *found = PyObject_GetAttr(value, name);
    int overflow = 1;
    if (found != NULL && PyLong_CheckExact(found))
        *number = PyLong_AsLongLongAndOverflow(found, &overflow);
    Py_XDECREF(found);
    PyErr_Clear();
    return overflow ? -1 : 0;
}

enum { DAY_SECONDS = 86400, SECOND = 1000000 };

static int
read_timedelta(State *state, PyObject *value, int64_t *days, int64_t *microseconds)
{
    int64_t seconds;
    if ((PyObject *)Py_TYPE(value) != state->timedelta ||
        attribute(value, state->days, days) < 0 ||
        attribute(value, state->seconds, &seconds) < 0 ||
        attribute(value, state->microseconds, microseconds) < 0)
        return -1;
    *microseconds += seconds * SECOND;
    return 0;
}

static int
put_timestamptz(State *state, Out *out, PyObject *value)
{
    int64_t days, microseconds;
    PyObject *since = PyNumber_Subtract(value, state->epoch);
    if (since == NULL)
        return for_psycopg();
    int read = read_timedelta(state, since, &days, &microseconds);
    Py_DECREF(since);
    if (read < 0)
        return 0;
    uint8_t *at = field(out, 8);
    if (at == NULL)
        return -1;
    put_number(at, (uint64_t)(days * DAY_SECONDS * SECOND + microseconds), 8);
    return 1;
}

static int
put_interval(State *state, Out *out, PyObject *value)
{
    int64_t days, microseconds;
    if (read_timedelta(state, value, &days, &microseconds) < 0)
        return 0;
    uint8_t *at = field(out, 16);
    if (at == NULL)
        return -1;
    at = put_number(at, (uint64_t)microseconds, 8);
    at = put_number(at, (uint64_t)days, 4);
    put_number(at, 0, 4); /* months */
    return 1;
}

/* A decimal number as its text has it: the digits without zeros around them, then so many zeros; and, of the whole,
   how many digits are behind the point. */
enum { MOST_DIGITS = 120 };

typedef struct {
    uint8_t digits[MOST_DIGITS];
    int count, zeros, scale, is_negative;
} Number;

/* 0, or -1 where it is no finite number, or a long one. */
static int
read_decimal(const char *text, Py_ssize_t size, Number *number)
{
    int exponent = 0, is_behind = 0, i = 0;
    memset(number, 0, sizeof *number);
    if (size > MOST_DIGITS)
        return -1;
    if (i < size && text[i] == '-') {
        number->is_negative = 1;
        i++;
    }
    for (; i < size; i++) {
        if (text[i] == '.')
            is_behind = 1;
        else if (text[i] < '0' || text[i] > '9')
            break;
        else {
            exponent -= is_behind;
            if (number->count > 0 || text[i] != '0')
                number->digits[number->count++] = (uint8_t)(text[i] - '0');
        }
    }
    if (i < size) {
        int written = 0, is_below = 0;
        if (text[i] != 'E' && text[i] != 'e')
            return -1;
        if (++i < size && (text[i] == '-' || text[i] == '+'))
            is_below = text[i++] == '-';
        for (; i < size; i++) {
            if (text[i] < '0' || text[i] > '9' || written > 1000)
                return -1;
            written = 10 * written + text[i] - '0';
        }
        exponent += is_below ? -written : written;
    }
    number->scale = exponent < 0 ? -exponent : 0;
    while (number->count > 0 && number->digits[number->count - 1] == 0) {
        number->count--;
        exponent++;
    }
    number->zeros = exponent;
    return 0;
}

/* Four decimal digits make one of PostgreSQL's. */
enum { GROUP = 4, NEGATIVE = 0x4000 };

static int
put_digits(Out *out, const Number *number)
{
    int before = number->count + number->zeros; /* decimal digits before the point; below 0 for zeros behind it */
    int weight = before > 0 ? (before - 1) / GROUP : -((-before) / GROUP) - 1;
    int lead = number->count == 0 ? 0 : (weight + 1) * GROUP - before;
    int groups = (number->count + lead + GROUP - 1) / GROUP;
    uint8_t *at = field(out, (size_t)(8 + 2 * groups));
    if (at == NULL)
        return -1;
    at = put_number(at, (uint64_t)groups, 2);
    at = put_number(at, number->count == 0 ? 0 : (uint64_t)weight, 2);
    at = put_number(at, number->count > 0 && number->is_negative ? NEGATIVE : 0, 2);
    at = put_number(at, (uint64_t)number->scale, 2);
    for (int group = 0; group < groups; group++) {
        unsigned value = 0;
        for (int i = group * GROUP - lead; i < (group + 1) * GROUP - lead; i++)
            value = 10 * value + (i >= 0 && i < number->count ? number->digits[i] : 0);
        at = put_number(at, value, 2);
    }
    return 1;
}

static int
put_numeric(State *state, Out *out, PyObject *value)
{
    Number number;
    Py_ssize_t size;
    if ((PyObject *)Py_TYPE(value) != state->decimal)
        return 0;
    PyObject *text = PyObject_Str(value);
    if (text == NULL)
        return -1;
    const char *digits = PyUnicode_AsUTF8AndSize(text, &size);
    int put = digits == NULL                                  ? -1
              : read_decimal(digits, size, &number) < 0 ? 0
                                                              : put_digits(out, &number);
    Py_DECREF(text);
    return put;
}

static int
put_json(Out *out, PyObject *value)
{
    if (PyDict_CheckExact(value) && PyDict_Size(value) == 0)
        return put_field(out, "\1{}", 3);
    return put_text(out, value, 1);
}

static int
put_known(State *state, Out *out, int kind, PyObject *value)
{
    switch (kind) {
    case TEXT:
        return put_text(out, value, 0);
    case BYTEA:
        return put_bytea(out, value);
    case BIGINT:
        return put_integer(out, value, 8);
    case INTEGER:
        return put_integer(out, value, 4);
    case BOOLEAN:
        return put_boolean(out, value);
    case TIMESTAMPTZ:
        return put_timestamptz(state, out, value);
    case INTERVAL:
        return put_interval(state, out, value);
    case NUMERIC:
        return put_numeric(state, out, value);
    case JSONB:
        return put_json(out, value);
    default:
        return 0;
    }
}

/* What psycopg's dumper makes of the value. */
static int
put_dumped(Out *out, PyObject *dump, PyObject *value)
{
    PyObject *dumped = PyObject_CallFunctionObjArgs(dump, value, NULL);
    Py_buffer buffer;
    int put = -1;
    if (dumped == NULL)
        return -1;
    if (dumped == Py_None)
        put = put_null(out);
    else if (PyObject_GetBuffer(dumped, &buffer, PyBUF_SIMPLE) == 0) {
        put = put_field(out, buffer.buf, (size_t)buffer.len);
        PyBuffer_Release(&buffer);
    }
    Py_DECREF(dumped);
    return put;
}

/* ---- Rows. ---- */

typedef struct {
    const char *kinds;
    PyObject *dumps;
    Py_ssize_t count;
} Columns;

static int
put_row(State *state, Out *out, const Columns *columns, PyObject *row)
{
    if (!PyTuple_Check(row) || PyTuple_Size(row) != columns->count) {
        PyErr_Format(PyExc_TypeError, "a row is a tuple of %zd values", columns->count);
        return -1;
    }
    uint8_t *at = more(out, 2);
    if (at == NULL)
        return -1;
    put_number(at, (uint64_t)columns->count, 2);
    for (Py_ssize_t i = 0; i < columns->count; i++) {
        PyObject *value = PyTuple_GetItem(row, i);
        int put = value == Py_None ? put_null(out)
                                   : put_known(state, out, columns->kinds[i], value);
        if (put == 0)
            put = put_dumped(out, PyTuple_GetItem(columns->dumps, i), value);
        if (put < 0)
            return -1;
    }
    return 0;
}

PyDoc_STRVAR(pack_doc,
"pack(rows, kinds, dumps, /)\n--\n\n"
"The rows of a list in the binary form of COPY, without its head and its tail.");

static PyObject *
pack(PyObject *module, PyObject *arguments)
{
    State *state = PyModule_GetState(module);
    Columns columns;
    Out out = {NULL, 0, 0};
    PyObject *rows, *packed = NULL;
    if (!PyArg_ParseTuple(arguments, "Oy#O:pack", &rows, &columns.kinds, &columns.count, &columns.dumps))
        return NULL;
    if (state->epoch == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "bind was not called");
        return NULL;
    }
    if (!PyList_Check(rows) || !PyTuple_Check(columns.dumps) ||
        PyTuple_Size(columns.dumps) != columns.count || columns.count > INT16_MAX) {
        PyErr_SetString(PyExc_TypeError, "there is a list of rows, and a dumper for each column");
        return NULL;
    }
    /* The list may change meanwhile: a dumper is Python. */
    for (Py_ssize_t i = 0; i < PyList_Size(rows); i++) {
        PyObject *row = Py_NewRef(PyList_GetItem(rows, i));
        int put = put_row(state, &out, &columns, row);
        Py_DECREF(row);
        if (put < 0)
            goto done;
    }
    packed = PyBytes_FromStringAndSize((const char *)out.bytes, (Py_ssize_t)out.size);
done:
    PyMem_Free(out.bytes);
    return packed;
}

/* ---- The module. ---- */

static void
replace(PyObject **place, PyObject *object)
{
    PyObject *before = *place;
    *place = Py_NewRef(object);
    Py_XDECREF(before);
}

PyDoc_STRVAR(bind_doc,
"bind(epoch, timedelta, decimal, /)\n--\n\n"
"Set the moment that times are counted from, and the types that are known.");

static PyObject *
bind(PyObject *module, PyObject *arguments)
{
    State *state = PyModule_GetState(module);
    PyObject *epoch, *timedelta, *decimal;
    if (!PyArg_ParseTuple(arguments, "OOO:bind", &epoch, &timedelta, &decimal))
        return NULL;
    replace(&state->epoch, epoch);
    replace(&state->timedelta, timedelta);
    replace(&state->decimal, decimal);
    Py_RETURN_NONE;
}

static int
traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->epoch);
    Py_VISIT(state->timedelta);
    Py_VISIT(state->decimal);
    return 0;
}

static int
clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->epoch);
    Py_CLEAR(state->timedelta);
    Py_CLEAR(state->decimal);
    Py_CLEAR(state->days);
    Py_CLEAR(state->seconds);
    Py_CLEAR(state->microseconds);
    return 0;
}

static void
release(void *module)
{
    clear(module);
}

static int
set_names(PyObject *module)
{
    State *state = PyModule_GetState(module);
    state->days = PyUnicode_InternFromString("days");
    state->seconds = PyUnicode_InternFromString("seconds");
    state->microseconds = PyUnicode_InternFromString("microseconds");
    return state->days && state->seconds && state->microseconds ? 0 : -1;
}

static PyMethodDef methods[] = {
    {"bind", bind, METH_VARARGS, bind_doc},
    {"pack", pack, METH_VARARGS, pack_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, set_names},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "spanmeter.storage._copying",
    .m_size = sizeof(State),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = release,
};

PyMODINIT_FUNC
PyInit__copying(void)
{
    return PyModuleDef_Init(&definition);
}
