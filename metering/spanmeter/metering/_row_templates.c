/* Rows of spans from those of earlier ones: what row_templates.py does for a span that has a template.

   Whatever is out of the ordinary, here as there, has none: the meter tells. A differential fuzz test holds the two to
   the same rows. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---- The state of the module. ---- */

/* The places of columns in a row, in the order that bind takes them. */
enum {
    DIMENSIONS,
    DURATION,
    TIME_TO_FIRST_TOKEN,
    INPUT,
    CACHE_WRITE_BY_TTL,
    OUTPUT,
    QUANTITIES,
    RAW_USAGE,
    COST,
    COLUMNS
};

typedef struct {
    PyObject *event;   /* the type of a row */
    PyObject *epoch, *timedelta, *decimal;
    PyObject *raw_usage, *is_known; /* of raw_usage.py */
    PyObject *known;                /* forms of usage blocks that are taken, as a set */
    PyObject *roles;                /* the name of an attribute */
    Py_ssize_t places[COLUMNS];
    Py_ssize_t fields;
    long long max_text, max_count, longest_ns, minute_ns, max_known_length;
    allocfunc alloc;
} State;

/* Items of a Span. */
enum {
    TRACE_ID,
    SPAN_ID,
    PARENT_SPAN_ID,
    NAME,
    START_NS,
    END_NS,
    FAILED,
    ATTRIBUTES,
    RESOURCE,
    SCOPE_NAME,
    SCOPE_VERSION,
    DROPPED_ATTRIBUTES,
    SPAN_FIELDS = 13
};

/* What an attribute is to a row: a letter of its layout, and with some letters a number. */
enum {
    UNREAD = '-',
    COPIED = 'c',         /* with its column */
    DECIDING_TEXT = 't',
    DECIDING_NUMBER = 'n',
    COUNT = 'u',          /* with its place among the counts */
    FIRST_CHUNK = 'f',
    RAW = 'r'
};

enum { WHOLE, READ, WRITTEN, OUT, REASONING, COUNTS };

enum { MOST_ATTRIBUTES = 256 };

/* What the spans of one call have in common. All are borrowed. */
typedef struct {
    State *state;
    PyObject *origin_of, *also_of, *layouts, *templates;
    long long earliest, latest;
    /* Of the span before. */
    PyObject *resource, *scope, *version, *origin;
} Run;

/* What a span says, as far as it is its own. All are borrowed. */
typedef struct {
    PyObject *copied[MOST_ATTRIBUTES];
    uint8_t columns[MOST_ATTRIBUTES];
    Py_ssize_t copies;
    PyObject *counts[COUNTS];
    long long numbers[COUNTS];
    PyObject *first_chunk, *raw;
    long long text;
} Said;

/* Each function that finds something returns 1 if all is well, 0 where only the meter can tell, -1 with an exception. */

/* ---- What a span says. ---- */

static int
is_plain(Said *said, PyObject *value)
{
    Py_ssize_t size;
    if (!PyUnicode_CheckExact(value))
        return 0;
    Py_ssize_t length = PyUnicode_GetLength(value);
    if (length == 0)
        return 0;
    const char *bytes = PyUnicode_AsUTF8AndSize(value, &size);
    if (bytes == NULL) {
        PyErr_Clear();
        return 0;
    }
    said->text += length;
    return size == length && memchr(bytes, 0, (size_t)size) == NULL;
}

static int
as_number(PyObject *value, long long *number)
{
    int overflow = 1;
    if (PyLong_CheckExact(value))
        *number = PyLong_AsLongLongAndOverflow(value, &overflow);
    return !overflow;
}

static int
read_attribute(Said *said, int role, int place, PyObject *value)
{
    switch (role) {
    case COPIED:
        said->copied[said->copies] = value;
        said->columns[said->copies++] = (uint8_t)place;
        return is_plain(said, value);
    case DECIDING_TEXT:
        return is_plain(said, value);
    case DECIDING_NUMBER:
        return PyLong_CheckExact(value);
    case COUNT:
        if (value == Py_None)
            return 1;
        said->counts[place] = value;
        return as_number(value, &said->numbers[place]);
    case FIRST_CHUNK:
        said->first_chunk = value;
        return 1;
    case RAW:
        said->raw = value;
        return 1;
    default:
        return 1;
    }
}

/* The values that decide, of the letter `role`, in their order. */
static PyObject *
deciding(PyObject *attributes, const uint8_t *roles, int role)
{
    Py_ssize_t at = 0, count = 0, found = 0;
    PyObject *name, *value;
    for (Py_ssize_t i = 0; i < PyDict_Size(attributes); i++)
        count += roles[2 * i] == role;
    PyObject *values = PyTuple_New(count);
    for (Py_ssize_t i = 0; values != NULL && PyDict_Next(attributes, &at, &name, &value); i++)
        if (roles[2 * i] == role)
            PyTuple_SetItem(values, found++, Py_NewRef(value));
    return values;
}

static int
read_span(Run *run, PyObject *attributes, const uint8_t *roles, Said *said)
{
    Py_ssize_t at = 0;
    PyObject *name, *value;
    memset(said, 0, sizeof *said);
    for (Py_ssize_t i = 0; PyDict_Next(attributes, &at, &name, &value); i++)
        if (!read_attribute(said, roles[2 * i], roles[2 * i + 1], value))
            return 0;
    return said->text <= run->state->max_text;
}

/* Whether no count of a part exceeds that of its whole. */
static int
agree(const State *state, const Said *said)
{
    const long long *number = said->numbers;
    if (said->counts[WHOLE] == NULL && said->counts[OUT] == NULL)
        return 0;
    for (int i = 0; i < COUNTS; i++)
        if (number[i] < 0 || number[i] > state->max_count)
            return 0;
    return number[READ] + number[WRITTEN] <= number[WHOLE] && number[REASONING] <= number[OUT];
}

/* ---- The template of a span. ---- */

static int
find_origin(Run *run, PyObject *span)
{
    PyObject *resource = PyTuple_GetItem(span, RESOURCE);
    PyObject *scope = PyTuple_GetItem(span, SCOPE_NAME);
    PyObject *version = PyTuple_GetItem(span, SCOPE_VERSION);
    if (resource != run->resource || scope != run->scope || version != run->version) {
        PyObject *origin =
            PyObject_CallFunctionObjArgs(run->origin_of, resource, scope, version, NULL);
        if (origin == NULL)
            return -1;
        Py_XDECREF(run->origin);
        run->origin = origin;
        run->resource = resource;
        run->scope = scope;
        run->version = version;
    }
    return run->origin != Py_None;
}

/* What else rates and rules go by. */
static PyObject *
also(Run *run, PyObject *attributes, const Said *said)
{
    if (run->also_of != Py_None)
        return PyObject_CallFunctionObjArgs(run->also_of, attributes, NULL);
    return Py_BuildValue("(O)", said->numbers[OUT] != 0 ? Py_True : Py_False);
}

/* Takes over the items of a tuple, some of which are NULL after an exception. */
static PyObject *
new_tuple(PyObject **items, Py_ssize_t count)
{
    PyObject *made = PyTuple_New(count);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (items[i] == NULL)
            Py_CLEAR(made);
        if (made != NULL)
            PyTuple_SetItem(made, i, items[i]);
        else
            Py_XDECREF(items[i]);
    }
    return made;
}

/* Borrowed; NULL without an exception where there is none. */
static PyObject *
find_template(Run *run, PyObject *layout, const uint8_t *roles, PyObject *attributes,
              const Said *said, unsigned long long start_ns)
{
    PyObject *items[] = {
        Py_NewRef(run->origin),
        Py_NewRef(layout),
        deciding(attributes, roles, DECIDING_TEXT),
        deciding(attributes, roles, DECIDING_NUMBER),
        also(run, attributes, said),
        PyLong_FromUnsignedLongLong(start_ns / (unsigned long long)run->state->minute_ns),
    };
    PyObject *key = new_tuple(items, sizeof items / sizeof *items);
    if (key == NULL)
        return NULL;
    PyObject *template = PyDict_GetItemWithError(run->templates, key);
    Py_DECREF(key);
    return template;
}

/* ---- Values. A new reference, NULL with an exception; or without one where only the meter can tell. ---- */

static PyObject *
new_timedelta(const State *state, PyObject *seconds, long long microseconds)
{
    PyObject *zero = PyLong_FromLong(0), *micro = PyLong_FromLongLong(microseconds), *made = NULL;
    if (zero != NULL && micro != NULL)
        made = PyObject_CallFunctionObjArgs(
            state->timedelta, zero, seconds == NULL ? zero : seconds, micro, NULL);
    Py_XDECREF(zero);
    Py_XDECREF(micro);
    return made;
}

static PyObject *
new_time(const State *state, unsigned long long microseconds)
{
    PyObject *since = new_timedelta(state, NULL, (long long)microseconds);
    PyObject *time = since == NULL ? NULL : PyNumber_Add(state->epoch, since);
    Py_XDECREF(since);
    return time;
}

static PyObject *
new_time_to_first_token(const State *state, PyObject *value)
{
    double seconds = -1;
    if (value != NULL && PyFloat_CheckExact(value))
        seconds = PyFloat_AsDouble(value);
    else if (value != NULL && PyLong_CheckExact(value)) {
        seconds = PyLong_AsDouble(value);
        PyErr_Clear(); /* of one that no double holds */
    }
    if (!(seconds >= 0 && seconds < 86400))
        return Py_NewRef(Py_None);
    return new_timedelta(state, value, 0);
}

/* The form of a usage block: with the digits that raw_usage.py takes to be alike made so. */
static PyObject *
form_of(const State *state, PyObject *value)
{
    uint8_t form[4096];
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(value, &size);
    if (text == NULL || size > state->max_known_length || size > (Py_ssize_t)sizeof form ||
        size != PyUnicode_GetLength(value) || size == 0 || text[0] != '{') {
        PyErr_Clear();
        return NULL;
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        if (text[i] == '\\')
            return NULL;
        form[i] = text[i] >= '2' && text[i] <= '9' ? '1' : (uint8_t)text[i];
    }
    return PyBytes_FromStringAndSize((const char *)form, size);
}

enum { MOST_FORMS = 1024 };

/* Whether a block of this form was taken before, or is now. */
static int
is_known_form(State *state, PyObject *form)
{
    int found = PySet_Contains(state->known, form);
    if (found != 0)
        return found;
    PyObject *told = PyObject_CallFunctionObjArgs(state->is_known, form, NULL);
    if (told == NULL)
        return -1;
    found = told == Py_True;
    Py_DECREF(told);
    if (found && PySet_Size(state->known) >= MOST_FORMS && PySet_Clear(state->known) < 0)
        return -1;
    if (found && PySet_Add(state->known, form) < 0)
        return -1;
    return found;
}

static PyObject *
new_raw_usage(State *state, PyObject *attributes, PyObject *value)
{
    if (value == NULL || !PyUnicode_CheckExact(value))
        return Py_NewRef(Py_None);
    PyObject *form = form_of(state, value);
    if (form != NULL) {
        int known = is_known_form(state, form);
        Py_DECREF(form);
        if (known != 0)
            return known < 0 ? NULL : Py_NewRef(value);
    }
    else if (PyErr_Occurred())
        return NULL;
    return PyObject_CallFunctionObjArgs(state->raw_usage, attributes, NULL);
}

/* Items of TokenCosts: a request, then each token more of a kind in the order of the counts. */
enum { REQUEST, EACH, EXPONENT = 6, MOST_INPUT, COST_FIELDS = 9 };

static int
units_of(PyObject *costs, const Said *said, long long *units)
{
    long long each;
    if (!as_number(PyTuple_GetItem(costs, REQUEST), units))
        return 0;
    for (int i = 0; i < COUNTS; i++)
        if (!as_number(PyTuple_GetItem(costs, EACH + i), &each) ||
            __builtin_mul_overflow(each, said->numbers[i], &each) ||
            __builtin_add_overflow(*units, each, units))
            return 0;
    return *units >= 0;
}

static PyObject *
new_cost(const State *state, PyObject *costs, const Said *said)
{
    char text[64];
    long long units, exponent, most;
    PyObject *most_input = PyTuple_GetItem(costs, MOST_INPUT);
    if (most_input != Py_None &&
        (!as_number(most_input, &most) || said->numbers[WHOLE] > most))
        return NULL;
    if (!units_of(costs, said, &units) || !as_number(PyTuple_GetItem(costs, EXPONENT), &exponent) ||
        exponent > 0)
        return NULL;
    for (; exponent < 0 && units % 10 == 0 && units != 0; exponent++)
        units /= 10;
    snprintf(text, sizeof text, "%lldE%lld", units, units == 0 ? 0 : exponent);
    return PyObject_CallFunction(state->decimal, "s", text);
}

/* ---- The row. ---- */

static int
is_id(PyObject *value, Py_ssize_t size)
{
    static const char none[16];
    return PyBytes_CheckExact(value) && PyBytes_Size(value) == size &&
           memcmp(PyBytes_AsString(value), none, (size_t)size) != 0;
}

static int
has_ids(PyObject *span)
{
    PyObject *parent = PyTuple_GetItem(span, PARENT_SPAN_ID);
    return is_id(PyTuple_GetItem(span, TRACE_ID), 16) && is_id(PyTuple_GetItem(span, SPAN_ID), 8) &&
           PyBytes_CheckExact(parent) && (PyBytes_Size(parent) == 0 || is_id(parent, 8));
}

/* Puts a value, which is taken over, into a row that has another there. */
static int
set(PyObject *row, Py_ssize_t place, PyObject *value)
{
    return value == NULL ? -1 : PyTuple_SetItem(row, place, value);
}

static int
set_counts(PyObject *row, const State *state, const Said *said)
{
    for (int i = 0; i < COUNTS; i++) {
        Py_ssize_t place = i < OUT ? state->places[INPUT] + i : state->places[OUTPUT] + i - OUT;
        PyObject *count = said->counts[i] == NULL ? Py_None : said->counts[i];
        if (set(row, place, Py_NewRef(count)) < 0)
            return -1;
    }
    return 0;
}

static int
set_own(PyObject *row, State *state, PyObject *span, const Said *said, unsigned long long start_ns,
        unsigned long long end_ns)
{
    const Py_ssize_t *places = state->places;
    PyObject *attributes = PyTuple_GetItem(span, ATTRIBUTES);
    PyObject *parent = PyTuple_GetItem(span, PARENT_SPAN_ID);
    PyObject *dimensions = PyTuple_GetItem(row, places[DIMENSIONS]);
    if (set(row, 0, new_time(state, start_ns / 1000)) < 0 ||
        set(row, 1, Py_NewRef(PyTuple_GetItem(span, TRACE_ID))) < 0 ||
        set(row, 2, Py_NewRef(PyTuple_GetItem(span, SPAN_ID))) < 0 ||
        set(row, 3, Py_NewRef(PyBytes_Size(parent) > 0 ? parent : Py_None)) < 0 ||
        set(row, places[DURATION],
            new_timedelta(state, NULL, (long long)((end_ns - start_ns) / 1000))) < 0 ||
        set(row, places[TIME_TO_FIRST_TOKEN],
            new_time_to_first_token(state, said->first_chunk)) < 0 ||
        /* No two rows share a mapping. The other two are empty, or the cost would be another. */
        set(row, places[DIMENSIONS], PyDict_Copy(dimensions)) < 0 ||
        set(row, places[CACHE_WRITE_BY_TTL], PyDict_New()) < 0 ||
        set(row, places[QUANTITIES], PyDict_New()) < 0 ||
        set(row, places[RAW_USAGE], new_raw_usage(state, attributes, said->raw)) < 0)
        return -1;
    for (Py_ssize_t i = 0; i < said->copies; i++)
        if (set(row, said->columns[i], Py_NewRef(said->copied[i])) < 0)
            return -1;
    return set_counts(row, state, said);
}

/* A new reference; NULL without an exception where only the meter can tell. */
static PyObject *
filled(State *state, PyObject *template, PyObject *span, const Said *said,
       unsigned long long start_ns, unsigned long long end_ns)
{
    PyObject *model = PyTuple_GetItem(template, 0), *costs = PyTuple_GetItem(template, 1);
    if (!PyTuple_Check(costs) || PyTuple_Size(costs) != COST_FIELDS ||
        !PyTuple_Check(model) || PyTuple_Size(model) != state->fields)
        return NULL;
    PyObject *cost = new_cost(state, costs, said);
    if (cost == NULL)
        return NULL;
    PyObject *row = state->alloc((PyTypeObject *)state->event, state->fields);
    for (Py_ssize_t i = 0; row != NULL && i < state->fields; i++)
        PyTuple_SetItem(row, i, Py_NewRef(PyTuple_GetItem(model, i)));
    if (row == NULL)
        Py_DECREF(cost);
    else if (set(row, state->places[COST], cost) < 0 ||
             set_own(row, state, span, said, start_ns, end_ns) < 0)
        Py_CLEAR(row);
    return row;
}

/* The layout of a span's attributes, borrowed; NULL without an exception where there is none. */
static PyObject *
find_layout(Run *run, PyObject *attributes)
{
    PyObject *names = PySequence_Tuple(attributes);
    PyObject *layout = names == NULL ? NULL : PyDict_GetItemWithError(run->layouts, names);
    Py_XDECREF(names);
    return layout;
}

static int
is_usual(const Run *run, PyObject *span, unsigned long long *start_ns, unsigned long long *end_ns)
{
    if (!PyTuple_Check(span) || PyTuple_Size(span) != SPAN_FIELDS ||
        PyTuple_GetItem(span, FAILED) != Py_False ||
        PyObject_IsTrue(PyTuple_GetItem(span, DROPPED_ATTRIBUTES)) ||
        !PyDict_CheckExact(PyTuple_GetItem(span, ATTRIBUTES)) || !has_ids(span))
        return 0;
    *start_ns = PyLong_AsUnsignedLongLong(PyTuple_GetItem(span, START_NS));
    *end_ns = PyLong_AsUnsignedLongLong(PyTuple_GetItem(span, END_NS));
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    long long began = (long long)(*start_ns / 1000);
    return *end_ns >= *start_ns &&
           *end_ns - *start_ns <= (unsigned long long)run->state->longest_ns &&
           run->earliest <= began && began <= run->latest;
}

/* The row of a span; NULL without an exception where only the meter can tell. */
static PyObject *
event_of(Run *run, PyObject *span)
{
    unsigned long long start_ns, end_ns;
    Said said;
    Py_ssize_t size;
    char *roles;
    if (!is_usual(run, span, &start_ns, &end_ns) || find_origin(run, span) <= 0)
        return NULL;
    PyObject *attributes = PyTuple_GetItem(span, ATTRIBUTES);
    PyObject *layout = find_layout(run, attributes), *told;
    if (layout == NULL || (told = PyObject_GetAttr(layout, run->state->roles)) == NULL)
        return NULL;
    PyObject *row = NULL, *template;
    if (PyBytes_AsStringAndSize(told, &roles, &size) == 0 &&
        size == 2 * PyDict_Size(attributes) && size <= 2 * MOST_ATTRIBUTES &&
        read_span(run, attributes, (uint8_t *)roles, &said) && agree(run->state, &said)) {
        template = find_template(run, layout, (uint8_t *)roles, attributes, &said, start_ns);
        if (template != NULL) {
            /* While it is filled in, Python runs, which may forget it. */
            Py_INCREF(template);
            row = filled(run->state, template, span, &said, start_ns, end_ns);
            Py_DECREF(template);
        }
    }
    Py_DECREF(told);
    return row;
}

PyDoc_STRVAR(events_doc,
"events(spans, at, most, earliest, latest, origin_of, also_of, layouts, templates, /)\n--\n\n"
"The rows of so many spans at most, from the one at this place on, up to the first that only the meter can tell.");

static PyObject *
events(PyObject *module, PyObject *arguments)
{
    Run run = {.state = PyModule_GetState(module)};
    PyObject *spans;
    Py_ssize_t at, most;
    if (!PyArg_ParseTuple(arguments, "O!nnLLOOO!O!:events", &PyList_Type, &spans, &at, &most,
            &run.earliest, &run.latest, &run.origin_of, &run.also_of, &PyDict_Type, &run.layouts, &PyDict_Type,
            &run.templates))
        return NULL;
    if (run.state->event == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "bind was not called");
        return NULL;
    }
    PyObject *made = PyList_New(0);
    /* The list of spans is the caller's own, and so holds them throughout. */
    for (; made != NULL && at < PyList_Size(spans) && most > 0; at++, most--) {
        PyObject *row = event_of(&run, PyList_GetItem(spans, at));
        if (row == NULL) {
            if (PyErr_Occurred())
                Py_CLEAR(made);
            break;
        }
        int done = PyList_Append(made, row);
        Py_DECREF(row);
        if (done < 0)
            Py_CLEAR(made);
    }
    Py_XDECREF(run.origin);
    return made;
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
"bind(event, epoch, timedelta, decimal, raw_usage, is_known, places, bounds, /)\n--\n\n"
"Set the types of rows and values, what tells of usage blocks, the places of columns, and the bounds.");

static PyObject *
bind(PyObject *module, PyObject *arguments)
{
    State *state = PyModule_GetState(module);
    PyObject *event, *epoch, *timedelta, *decimal, *raw_usage, *is_known;
    Py_ssize_t *places = state->places;
    if (!PyArg_ParseTuple(arguments, "O!OOOOOn(nnnnnnnnn)(LLLLL):bind", &PyType_Type, &event, &epoch,
            &timedelta, &decimal, &raw_usage, &is_known, &state->fields, &places[DIMENSIONS],
            &places[DURATION], &places[TIME_TO_FIRST_TOKEN], &places[INPUT],
            &places[CACHE_WRITE_BY_TTL], &places[OUTPUT], &places[QUANTITIES], &places[RAW_USAGE],
            &places[COST], &state->max_text, &state->max_count, &state->longest_ns,
            &state->minute_ns, &state->max_known_length))
        return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)event, &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "a row is a named tuple");
        return NULL;
    }
    PyObject *known = PySet_New(NULL);
    if (known == NULL)
        return NULL;
    replace(&state->known, known);
    Py_DECREF(known);
    replace(&state->event, event);
    replace(&state->epoch, epoch);
    replace(&state->timedelta, timedelta);
    replace(&state->decimal, decimal);
    replace(&state->raw_usage, raw_usage);
    replace(&state->is_known, is_known);
    state->alloc = (allocfunc)PyType_GetSlot((PyTypeObject *)event, Py_tp_alloc);
    Py_RETURN_NONE;
}

static int
traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->event);
    Py_VISIT(state->epoch);
    Py_VISIT(state->timedelta);
    Py_VISIT(state->decimal);
    Py_VISIT(state->raw_usage);
    Py_VISIT(state->is_known);
    Py_VISIT(state->known);
    return 0;
}

static int
clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->event);
    Py_CLEAR(state->epoch);
    Py_CLEAR(state->timedelta);
    Py_CLEAR(state->decimal);
    Py_CLEAR(state->raw_usage);
    Py_CLEAR(state->is_known);
    Py_CLEAR(state->known);
    Py_CLEAR(state->roles);
    return 0;
}

static void
release(void *module)
{
    clear(module);
}

/* Compared with the types at hand before anything is made, so that an outdated build is noticed. */
static const char LAYOUT[] =
    "trace_id span_id parent_span_id name start_ns end_ns failed attributes resource scope_name scope_version "
    "dropped_attributes kind, request input cache_read cache_write output reasoning exponent most_input quality, "
    "row costs";

static int
set_names(PyObject *module)
{
    State *state = PyModule_GetState(module);
    state->roles = PyUnicode_InternFromString("roles");
    return state->roles == NULL ? -1 : PyModule_AddStringConstant(module, "LAYOUT", LAYOUT);
}

static PyMethodDef methods[] = {
    {"bind", bind, METH_VARARGS, bind_doc},
    {"events", events, METH_VARARGS, events_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, set_names},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "spanmeter.metering._row_templates",
    .m_size = sizeof(State),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = release,
};

PyMODINIT_FUNC
PyInit__row_templates(void)
{
    return PyModuleDef_Init(&definition);
}
