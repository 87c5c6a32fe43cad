/* Of a JSON document the few members that are asked for, and small values as JSON documents: in the common case, and
   without what is not asked for being made into objects. The rest is left to json_codec.py, which does the same for any
   document; a differential test holds the two together. Source: RFC 8259. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MAX_DEPTH = 16, MAX_DIGITS = 18, MAX_SIZE = 4096 };

/* Where a reader is in a document. The document ends with a NUL, as all bytes of Python's do. */
typedef struct {
    const char *at, *end;
} Reader;

/* What is read of a value: NULL with an exception where that is a fault, without one where it is left to others. */
static PyObject *read_value(Reader *reader, int depth);

static char
next_sign(Reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\r' || *reader->at == '\t'))
        reader->at++;
    return reader->at < reader->end ? *reader->at : 0;
}

static int
takes(Reader *reader, char sign)
{
    if (next_sign(reader) != sign)
        return 0;
    reader->at++;
    return 1;
}

/* The text between two quotes, the first of which is passed already; NULL where anything in it is escaped. */
static const char *
plain_text(Reader *reader, size_t *size)
{
    const char *begin = reader->at;
    for (; reader->at < reader->end; reader->at++) {
        unsigned char sign = (unsigned char)*reader->at;
        if (sign == '"') {
            *size = (size_t)(reader->at++ - begin);
            return begin;
        }
        if (sign == '\\' || sign < 0x20)
            return NULL;
    }
    return NULL;
}

static PyObject *
read_text(Reader *reader)
{
    size_t size;
    const char *text = plain_text(reader, &size);
    if (text == NULL)
        return NULL;
    PyObject *value = PyUnicode_DecodeUTF8(text, (Py_ssize_t)size, NULL);
    if (value == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
        PyErr_Clear();
    return value;
}

static PyObject *
read_integer(Reader *reader)
{
    int negative = *reader->at == '-';
    const char *digits = reader->at += negative;
    long long value = 0;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9' && reader->at - digits < MAX_DIGITS)
        value = value * 10 + (*reader->at++ - '0');
    ptrdiff_t count = reader->at - digits;
    char after = reader->at < reader->end ? *reader->at : 0;
    /* Others are fractions, are larger, or no numbers at all; and there is a -0. */
    if (count == 0 || (*digits == '0' && (count > 1 || negative)) || (after >= '0' && after <= '9') || after == '.' ||
        after == 'e' || after == 'E')
        return NULL;
    return PyLong_FromLongLong(negative ? -value : value);
}

static PyObject *
read_word(Reader *reader, const char *word, PyObject *value)
{
    size_t size = strlen(word);
    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0)
        return NULL;
    reader->at += size;
    Py_INCREF(value);
    return value;
}

static PyObject *
read_list(Reader *reader, int depth)
{
    PyObject *list = PyList_New(0);
    if (list == NULL || takes(reader, ']'))
        return list;
    do {
        PyObject *item = read_value(reader, depth);
        int done = item == NULL ? -1 : PyList_Append(list, item);
        Py_XDECREF(item);
        if (done < 0)
            break;
        if (takes(reader, ']'))
            return list;
    } while (takes(reader, ','));
    Py_DECREF(list);
    return NULL;
}

static PyObject *
read_object(Reader *reader, int depth)
{
    PyObject *object = PyDict_New();
    if (object == NULL || takes(reader, '}'))
        return object;
    do {
        PyObject *name = takes(reader, '"') ? read_text(reader) : NULL;
        PyObject *value = name != NULL && takes(reader, ':') ? read_value(reader, depth) : NULL;
        int done = value == NULL ? -1 : PyDict_SetItem(object, name, value);
        Py_XDECREF(name);
        Py_XDECREF(value);
        if (done < 0)
            break;
        if (takes(reader, '}'))
            return object;
    } while (takes(reader, ','));
    Py_DECREF(object);
    return NULL;
}

static PyObject *
read_value(Reader *reader, int depth)
{
    if (depth == 0)
        return NULL;
    switch (next_sign(reader)) {
    case '"':
        reader->at++;
        return read_text(reader);
    case '{':
        reader->at++;
        return read_object(reader, depth - 1);
    case '[':
        reader->at++;
        return read_list(reader, depth - 1);
    case 'n':
        return read_word(reader, "null", Py_None);
    case 't':
        return read_word(reader, "true", Py_True);
    case 'f':
        return read_word(reader, "false", Py_False);
    default:
        return reader->at < reader->end ? read_integer(reader) : NULL;
    }
}

/* Passes a text, escaped or not; 0 where it does not end. */
static int
pass_text(Reader *reader)
{
    const char *begin = reader->at;
    for (;;) {
        const char *quote = memchr(reader->at, '"', (size_t)(reader->end - reader->at));
        if (quote == NULL)
            return 0;
        reader->at = quote + 1;
        const char *before = quote;
        while (before > begin && before[-1] == '\\')
            before--;
        if ((quote - before) % 2 == 0)
            return 1;
    }
}

/* Passes a value that is not asked for; 0 where it does not end. Nothing is said of what is in it. */
static int
pass_value(Reader *reader)
{
    size_t depth = 0;
    next_sign(reader);
    while (reader->at < reader->end) {
        switch (*reader->at) {
        case '"':
            reader->at++;
            if (!pass_text(reader))
                return 0;
            break;
        case '{':
        case '[':
            depth++;
            reader->at++;
            break;
        case '}':
        case ']':
            if (depth == 0)
                return 1;
            depth--;
            reader->at++;
            break;
        case ',':
            if (depth == 0)
                return 1;
            reader->at++;
            break;
        default:
            reader->at++;
        }
    }
    return 0;
}

/* The name among those that are asked for, borrowed; NULL where it is none. */
static PyObject *
asked_for(PyObject *names, const char *name, size_t size)
{
    Py_ssize_t count = PyTuple_Size(names);
    for (Py_ssize_t each = 0; each < count; each++) {
        Py_ssize_t length;
        const char *text = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(names, each), &length);
        if (text == NULL)
            return NULL;
        if ((size_t)length == size && memcmp(text, name, size) == 0)
            return PyTuple_GetItem(names, each);
    }
    return NULL;
}

/* Whether the members of an object were read, whose first sign is passed already. */
static int
read_members(Reader *reader, PyObject *names, PyObject *found)
{
    if (takes(reader, '}'))
        return 1;
    do {
        size_t size;
        const char *text = takes(reader, '"') ? plain_text(reader, &size) : NULL;
        if (text == NULL || !takes(reader, ':'))
            return 0;
        PyObject *name = asked_for(names, text, size);
        if (name == NULL) {
            if (PyErr_Occurred() || !pass_value(reader))
                return 0;
        }
        else {
            PyObject *value = read_value(reader, MAX_DEPTH);
            int done = value == NULL ? -1 : PyDict_SetItem(found, name, value);
            Py_XDECREF(value);
            if (done < 0)
                return 0;
        }
        if (takes(reader, '}'))
            return 1;
    } while (takes(reader, ','));
    return 0;
}

PyDoc_STRVAR(members_doc,
"members(document, names, /)\n--\n\n"
"Those members of the JSON object in these bytes whose names are in the tuple; None where the document is no object, or\n"
"has what is left to others: escapes in a name or in what is asked for, fractions, large numbers. What is not asked for\n"
"is not looked at.");

static PyObject *
members(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    char *document;
    Py_ssize_t size;
    if (count != 2 || !PyTuple_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "members takes bytes and a tuple of names");
        return NULL;
    }
    if (PyBytes_AsStringAndSize(arguments[0], &document, &size) < 0)
        return NULL;
    Reader reader = {document, document + size};
    PyObject *found = PyDict_New();
    if (found == NULL)
        return NULL;
    if (takes(&reader, '{') && read_members(&reader, arguments[1], found) && next_sign(&reader) == 0 &&
        reader.at == reader.end)
        return found;
    Py_DECREF(found);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

/* ---- Writing. ---- */

typedef struct {
    char bytes[MAX_SIZE];
    size_t size;
} Out;

/* Whether it was written. Where it was not, without an exception, it is left to others. */
static int
put(Out *out, const char *bytes, size_t size)
{
    if (size > MAX_SIZE - out->size)
        return 0;
    memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
    return 1;
}

static int
put_text(Out *out, PyObject *value)
{
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(value, &size);
    if (text == NULL) {
        if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            PyErr_Clear();
        return 0;
    }
    for (Py_ssize_t each = 0; each < size; each++) {
        unsigned char sign = (unsigned char)text[each];
        if (sign < 0x20 || sign >= 0x7F || sign == '"' || sign == '\\')
            return 0;
    }
    return put(out, "\"", 1) && put(out, text, (size_t)size) && put(out, "\"", 1);
}

static int
put_integer(Out *out, PyObject *value)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    char digits[24], *at = digits + sizeof digits;
    if (overflow)
        return 0;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        *--at = (char)('0' + rest % 10);
    } while (rest /= 10);
    if (number < 0)
        *--at = '-';
    return put(out, at, (size_t)(digits + sizeof digits - at));
}

static int
put_value(Out *out, PyObject *value, int depth)
{
    PyTypeObject *type = Py_TYPE(value);
    if (depth == 0)
        return 0;
    if (type == &PyUnicode_Type)
        return put_text(out, value);
    if (type == &PyLong_Type)
        return put_integer(out, value);
    if (value == Py_None)
        return put(out, "null", 4);
    if (type == &PyBool_Type)
        return value == Py_True ? put(out, "true", 4) : put(out, "false", 5);
    if (type == &PyList_Type) {
        if (!put(out, "[", 1))
            return 0;
        for (Py_ssize_t each = 0; each < PyList_Size(value); each++)
            if ((each > 0 && !put(out, ",", 1)) || !put_value(out, PyList_GetItem(value, each), depth - 1))
                return 0;
        return put(out, "]", 1);
    }
    if (type == &PyDict_Type) {
        PyObject *name, *member;
        Py_ssize_t position = 0;
        int first = 1;
        if (!put(out, "{", 1))
            return 0;
        while (PyDict_Next(value, &position, &name, &member)) {
            if (!Py_IS_TYPE(name, &PyUnicode_Type) || (!first && !put(out, ",", 1)) || !put_text(out, name) ||
                !put(out, ":", 1) || !put_value(out, member, depth - 1))
                return 0;
            first = 0;
        }
        return put(out, "}", 1);
    }
    return 0;
}

PyDoc_STRVAR(compact_doc,
"compact(value, /)\n--\n\n"
"The value as a JSON document without spaces; None where it has what is left to others: fractions, large numbers, texts\n"
"that are not ASCII or have to be escaped, other types, more than 4 KiB.");

static PyObject *
compact(PyObject *Py_UNUSED(module), PyObject *value)
{
    Out out;
    out.size = 0;
    if (put_value(&out, value, MAX_DEPTH))
        return PyUnicode_FromStringAndSize(out.bytes, (Py_ssize_t)out.size);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static int
set_revision(PyObject *module)
{
    return PyModule_AddIntConstant(module, "REVISION", 1);
}

static PyMethodDef methods[] = {
    {"members", (PyCFunction)(void (*)(void))members, METH_FASTCALL, members_doc},
    {"compact", compact, METH_O, compact_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, set_revision},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "spanmeter.instrumentation._json",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__json(void)
{
    return PyModuleDef_Init(&definition);
}
