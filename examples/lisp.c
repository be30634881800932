/* lisp.c - a small Scheme whose every byte comes from gc_malloc: there is no memory management in this file.
 *
 * Usage: lisp [FILE | - | -e EXPR] [ARG...]     runs FILE, standard input, or EXPR (and prints the values of that one)
 *
 * 1. values    a pointer to an object that begins with its tag, or an odd word, which is an integer.
 * 2. read      text -> values. Lists are built at their end: only nesting recurses.
 * 3. compile   a form -> a tree of nodes, each variable resolved to (frames up, slot). A lambda has one frame, of which
 *              `let` and inner defines get slots: without call/cc, no body is entered twice in one call.
 * 4. run       eval walks the tree; a call in tail position replaces node and frame and goes round its loop.
 * 5. builtins  the procedures that need C. The others, and let, cond and so on as macros: scheme/prelude.h, in Scheme.
 *
 * Scheme recursion is C recursion, on a thread with a large stack; when that is used up, an error. An integer too large
 * for 63 bits becomes a real. Characters are bytes. There is no call/cc and no hygiene. An error prints one line with
 * the line of the file at which the outermost form begins; the exit status is 1. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef EXAMPLE_PLAIN_MALLOC
#include "plain_malloc.h"
#else
#include <spangc.h>
#endif

/* ---- 1. values --------------------------------------------------------------------------------------------------- */

#define UNUSED __attribute__((__unused__))
enum { STACK_BYTES = 256 << 20, STACK_SPARE = 1 << 20, LOCAL_ARGS = 4, MANY = 32767 };
enum tag { EMPTY, BOOLEAN, UNSPECIFIED, CHAR, INTEGER, REAL, STRING, SYMBOL, PAIR, VECTOR, CLOSURE, BUILTIN };
static const char *const tag_names[] = {"null",   "boolean", "unspecified", "char",   "integer", "real",
                                        "string", "symbol",  "pair",        "vector", "closure", "builtin"};

struct node;
struct scope;
typedef struct object *value;
typedef value builtin_fn(value self, int n, value *a);
static builtin_fn b_apply;

struct object {
    unsigned short tag;
    short syntax;   /* of a symbol: enum syntax */
    short min, max; /* of a builtin: number of arguments */
    union {
        value car;
        double real;
        intptr_t length;  /* of a string or vector; of a char, its code */
        const char *name; /* of a symbol or builtin */
        const struct node *lambda;
    };
    union {
        value cdr, *item, *frame;
        value global; /* of a symbol: NULL while undefined */
        char *text;   /* a NUL follows it */
        builtin_fn *fn;
    };
};

static struct object nil = {.tag = EMPTY}, yes = {.tag = BOOLEAN}, no = {.tag = BOOLEAN},
                     nothing = {.tag = UNSPECIFIED};
static struct object chars[256];  /* each with its code as length */
static uintptr_t stack_end;       /* an address below this: too deep */
static const char *file = "lisp"; /* what is read, and the line at which the form begins that is run */
static int line = 1, form_line = 1;
static value symbols = &nil, command_line = &nil;

static void print(FILE *out, value v, bool write);

/* The one way to fail. A culprit is written behind the message. It has a type so that it can be an operand of ?: */
static _Noreturn value fail(value culprit, const char *format, ...)
{
    va_list args;
    fflush(stdout);
    fprintf(stderr, "%s:%d: ", file, form_line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    if (culprit)
        print(stderr, culprit, true);
    fputc('\n', stderr);
    exit(1);
}

static void *check_stack(void)
{
    return (uintptr_t)__builtin_frame_address(0) < stack_end ? fail(NULL, "recursion too deep") : NULL;
}

static void *checked(void *p) { return p ? p : fail(NULL, "out of memory"); }
static void *scanned(size_t size) { return checked(gc_malloc(size)); }
static void *unscanned(size_t size) { return checked(gc_malloc_noscan(size)); }

static bool is_int(value v) { return (uintptr_t)v & 1; }
static bool is(value v, enum tag t) { return !is_int(v) && v->tag == t; }
static enum tag tag_of(value v) { return is_int(v) ? INTEGER : v->tag; }
static intptr_t int_of(value v) { return (intptr_t)v >> 1; }
static value integer(intptr_t i) { return (value)((uintptr_t)i << 1 | 1); }
static value boolean(bool b) { return b ? &yes : &no; }
static value character(int c) { return &chars[(unsigned char)c]; }

static value make(enum tag tag)
{
    value v = tag == REAL ? unscanned(sizeof *v) : scanned(sizeof *v);
    *v = (struct object){.tag = (unsigned short)tag};
    return v;
}

static value cons(value a, value d)
{
    value v = make(PAIR);
    v->car = a;
    v->cdr = d;
    return v;
}
static value list2(value a, value b) { return cons(a, cons(b, &nil)); }

/* Number of elements, or -1 when it is no proper list. */
static int length_of(value list)
{
    int n = 0;
    for (; is(list, PAIR); list = list->cdr)
        n++;
    return list == &nil ? n : -1;
}

static value real(double d)
{
    value v = make(REAL);
    v->real = d;
    return v;
}

static value string(const char *text, intptr_t length)
{
    value v = make(STRING);
    v->length = length;
    v->text = unscanned((size_t)length + 1);
    v->text[length] = 0;
    if (text)
        memcpy(v->text, text, (size_t)length);
    else
        memset(v->text, ' ', (size_t)length);
    return v;
}

static value text(const char *s) { return string(s, (intptr_t)strlen(s)); }

static value vector(intptr_t length, value fill)
{
    value v = make(VECTOR);
    v->length = length;
    v->item = scanned((size_t)length * sizeof(value));
    for (intptr_t i = 0; i < length; i++)
        v->item[i] = fill;
    return v;
}

static value intern(const char *name)
{
    for (value l = symbols; l != &nil; l = l->cdr)
        if (strcmp(l->car->name, name) == 0)
            return l->car;
    value s = make(SYMBOL);
    s->name = checked(gc_strndup(name, strlen(name)));
    symbols = cons(s, symbols);
    return s;
}

static const char *format_number(value v)
{
    static char out[40];
    if (is_int(v))
        snprintf(out, sizeof out, "%jd", (intmax_t)int_of(v));
    else if (snprintf(out, sizeof out, "%.15g", v->real) && isfinite(v->real) && !strpbrk(out, ".e"))
        strcat(out, ".0");
    return out;
}

static void print_written(FILE *out, value s)
{
    fputc('"', out);
    for (const char *p = s->text; p < s->text + s->length; p++)
        fprintf(out, *p == '"' || *p == '\\' || *p == '\n' ? "\\%c" : "%c", *p == '\n' ? 'n' : *p);
    fputc('"', out);
}

static void print_sequence(FILE *out, value v, bool write)
{
    fputs(is(v, PAIR) ? "(" : "#(", out);
    for (intptr_t i = 0; is(v, VECTOR) && i < v->length; i++)
        fputs(i ? " " : "", out), print(out, v->item[i], write);
    for (; is(v, PAIR); v = v->cdr) {
        print(out, v->car, write);
        fputs(is(v->cdr, PAIR) ? " " : v->cdr == &nil ? "" : " . ", out);
        if (!is(v->cdr, PAIR) && v->cdr != &nil)
            print(out, v->cdr, write);
    }
    fputc(')', out);
}

static void print(FILE *out, value v, bool write)
{
    check_stack();
    if (is_int(v) || is(v, REAL))
        fputs(format_number(v), out);
    else if (is(v, PAIR) || is(v, VECTOR))
        print_sequence(out, v, write);
    else if (write && (v == character(' ') || v == character('\n')))
        fputs(v == character(' ') ? "#\\space" : "#\\newline", out);
    else if (is(v, CHAR))
        fprintf(out, write ? "#\\%c" : "%c", (int)v->length);
    else if (is(v, STRING) && write)
        print_written(out, v);
    else if (is(v, STRING))
        fwrite(v->text, 1, (size_t)v->length, out);
    else if (is(v, SYMBOL))
        fputs(v->name, out);
    else if (is(v, CLOSURE) || is(v, BUILTIN))
        fprintf(out, "#<procedure %s>", is(v, BUILTIN) ? v->name : "lambda");
    else
        fputs(v == &nil ? "()" : v == &yes ? "#t" : v == &no ? "#f" : "#<unspecified>", out);
}

/* ---- 2. read ----------------------------------------------------------------------------------------------------- */

static value read_form(const char **p);

static char skip_space(const char **p)
{
    for (; isspace((unsigned char)**p) || **p == ';'; *p += **p != 0) {
        if (**p == ';')
            *p += strcspn(*p, "\n");
        line += **p == '\n';
    }
    return **p;
}

static value read_list(const char **p)
{
    value head = &nil, *end = &head;
    for (; skip_space(p) != ')'; end = &(*end)->cdr) {
        if (**p == '.' && isspace((unsigned char)(*p)[1]) && head != &nil) {
            ++*p;
            *end = read_form(p);
            if (skip_space(p) != ')')
                fail(NULL, "one form and a parenthesis must follow a dot");
            break;
        }
        *end = **p ? cons(read_form(p), &nil) : fail(NULL, "the text ends inside a list");
    }
    ++*p;
    return head;
}

static value read_vector(const char **p)
{
    value list = read_list(p), v = vector(length_of(list) < 0 ? 0 : length_of(list), &nil);
    for (value *item = v->item; is(list, PAIR); list = list->cdr)
        *item++ = list->car;
    return list == &nil ? v : fail(NULL, "a dot in a vector");
}

static value read_string(const char **p)
{
    size_t n = 0, most = 0;
    while ((*p)[most] && (*p)[most] != '"')
        most += (*p)[most] == '\\' && (*p)[most + 1] ? 2 : 1;
    char *text = unscanned(most + 1);
    for (; **p != '"'; ++*p) {
        bool escaped = **p == '\\' && *++*p;
        if (!**p)
            fail(NULL, "the text ends inside a string");
        line += **p == '\n';
        text[n++] = escaped && **p == 'n' ? '\n' : escaped && **p == 't' ? '\t' : **p;
    }
    ++*p;
    return string(text, (intptr_t)n);
}

/* The number that a text spells, or #f. */
static value parse_number(const char *text)
{
    char *end;
    errno = 0;
    long i = strtol(text, &end, 10);
    if (end > text && !*end && !errno && int_of(integer(i)) == i)
        return integer(i);
    double d = strtod(text, &end);
    return *end || !isdigit((unsigned char)text[strspn(text, "+-.")]) ? &no : real(d);
}

static value read_atom(const char **p)
{
    size_t n = strncmp(*p, "#\\", 2) == 0 && (*p)[2] ? 3 : 0;
    n += strcspn(*p + n, " \t\r\n\f\v()\";'");
    const char *text = checked(gc_strndup(*p, n));
    *p += n;
    if (strcmp(text, "#t") == 0 || strcmp(text, "#f") == 0)
        return boolean(text[1] == 't');
    if (text[0] == '#' && text[1] == '\\') {
        bool space = strcmp(text + 2, "space") == 0, newline = strcmp(text + 2, "newline") == 0;
        return n == 3 || space ? character(space ? ' ' : text[2])
               : newline       ? character('\n')
                               : fail(NULL, "unknown: %s", text);
    }
    value number = parse_number(text);
    return number != &no ? number : text[0] == '#' ? fail(NULL, "unknown: %s", text) : intern(text);
}

static value read_form(const char **p)
{
    char c = skip_space(p);
    check_stack();
    form_line = line;
    if (c == 0 || c == ')')
        fail(NULL, c ? "a closing parenthesis too many" : "the text ends where a form is missing");
    if (c == '\'' || c == '`' || c == ',') {
        bool splice = c == ',' && (*p)[1] == '@';
        *p += 1 + splice;
        const char *unquote = splice ? "unquote-splicing" : "unquote";
        value symbol = intern(c == ',' ? unquote : c == '`' ? "quasiquote" : "quote");
        return list2(symbol, read_form(p));
    }
    if (c == '(' || c == '"')
        return ++*p, c == '(' ? read_list(p) : read_string(p);
    if (strncmp(*p, "#(", 2) == 0)
        return *p += 2, read_vector(p);
    return read_atom(p);
}

/* ---- 3. compile -------------------------------------------------------------------------------------------------- */

enum op { CONSTANT, LOCAL, OUTER, GLOBAL, SET, DEFINE, IF, SEQUENCE, LAMBDA, CALL, CALL_KNOWN };

struct node {
    enum op op;
    int n;           /* number of kids */
    int depth, slot; /* of a variable: frames up, place there. slot of a lambda: size of its frame */
    int params;      /* of a lambda, a rest parameter not counted */
    bool rest;
    value datum;              /* the constant, or the symbol of a variable */
    const struct node *kid[]; /* of SET and DEFINE: the value, the variable */
};

/* What the names mean where a form is compiled: one scope a lambda. Slot 0 of a frame leads to the frame outside. */
struct scope {
    struct scope *up;
    value names; /* ((symbol . slot) ...), the innermost first */
    int slots;
};

enum syntax { ORDINARY, DEFINE_FORM, MACRO_CALL, LAMBDA_FORM, QUOTE, IF_FORM, SET_FORM, DEFINE_MACRO, BEGIN, N_SYNTAX };
typedef struct node *syntax_fn(value form, struct scope *s);
static value run(const struct node *n, int slots);
static struct node *compile(value form, struct scope *s);

static struct node *node(enum op op, int n, value datum)
{
    struct node *new_node = scanned(sizeof *new_node + (size_t)n * sizeof new_node->kid[0]);
    *new_node = (struct node){.op = op, .n = n, .datum = datum};
    return new_node;
}

/* The form without its first i elements; at: its element i. They fail when it is too short. */
static value tail(value form, int i)
{
    value rest = form;
    for (; i > 0 && is(rest, PAIR); i--)
        rest = rest->cdr;
    return i ? fail(form, "malformed: ") : rest;
}

static value at(value form, int i)
{
    value rest = tail(form, i);
    return is(rest, PAIR) ? rest->car : fail(form, "malformed: ");
}

static void declare(value symbol, struct scope *s)
{
    s->names = cons(cons(is(symbol, SYMBOL) ? symbol : fail(symbol, "not a name: "), integer(s->slots++)), s->names);
}

static struct node *variable(value symbol, const struct scope *s)
{
    struct node *var = node(GLOBAL, 0, is(symbol, SYMBOL) ? symbol : fail(symbol, "not a name: "));
    for (; s; s = s->up, var->depth++)
        for (value l = s->names; l != &nil; l = l->cdr)
            if (l->car->car == symbol) {
                var->op = var->depth ? OUTER : LOCAL;
                var->slot = (int)int_of(l->car->cdr);
                return var;
            }
    return var;
}

/* Which special form a form is (a macro call is one), or 0. */
static int syntax_of(value form, const struct scope *s)
{
    bool may_be = is(form, PAIR) && is(form->car, SYMBOL) && form->car->syntax;
    return may_be && variable(form->car, s)->op == GLOBAL ? form->car->syntax : 0;
}

static struct node *sequence(value forms, struct scope *s)
{
    struct node *all = node(SEQUENCE, length_of(forms), NULL);
    for (int i = 0; i < all->n; i++, forms = forms->cdr)
        all->kid[i] = compile(forms->car, s);
    return all->n == 1 ? (struct node *)all->kid[0] : all->n ? all : node(CONSTANT, 0, &nothing);
}

static struct node *compile_begin(value form, struct scope *s) { return sequence(form->cdr, s); }
static struct node *compile_quote(value form, UNUSED struct scope *s) { return node(CONSTANT, 0, at(form, 1)); }

static struct node *compile_if(value form, struct scope *s)
{
    value otherwise = tail(form, 3) == &nil ? &nothing : at(form, 3);
    struct node *branch = sequence(cons(at(form, 1), list2(at(form, 2), otherwise)), s);
    branch->op = IF;
    return branch;
}

static struct node *compile_set(value form, struct scope *s)
{
    struct node *set = node(SET, 2, NULL);
    set->kid[0] = compile(at(form, 2), s);
    set->kid[1] = variable(at(form, 1), s);
    return set;
}

static value defined_name(value form) { return is(at(form, 1), PAIR) ? at(form, 1)->car : at(form, 1); }

static struct node *compile_define(value form, struct scope *s)
{
    value name = defined_name(form), what = at(form, 2);
    if (is(at(form, 1), PAIR))
        what = cons(intern("lambda"), cons(at(form, 1)->cdr, tail(form, 2)));
    struct node *define = compile_set(cons(&nil, list2(name, what)), s);
    if (define->kid[1]->op == LOCAL)
        return define;
    if (s->up)
        fail(form, "a define inside an expression: ");
    define->op = DEFINE;
    name->syntax = 0;
    return define;
}

static struct node *compile_macro_call(value form, struct scope *s)
{
    struct node *call = node(CALL, length_of(form), NULL);
    call->kid[0] = node(CONSTANT, 0, form->car->global);
    for (int i = 1; i < call->n; i++)
        call->kid[i] = node(CONSTANT, 0, at(form, i));
    return compile(run(call, 1), s);
}

/* (define-macro (name . params) body...): a procedure from the forms of a call to the form that is compiled instead. */
static struct node *compile_define_macro(value form, struct scope *s)
{
    struct scope top = {NULL, &nil, 1};
    run(compile_define(form, &top), top.slots);
    defined_name(form)->syntax = MACRO_CALL;
    return sequence(&nil, s);
}

/* A body; what its defines name gets a slot before anything is compiled. */
static struct node *body(value forms, struct scope *s)
{
    if (length_of(forms) < 1)
        fail(forms, "no body: ");
    for (value f = forms; f != &nil; f = f->cdr)
        if (syntax_of(f->car, s) == DEFINE_FORM)
            declare(defined_name(f->car), s);
    return sequence(forms, s);
}

static struct node *compile_lambda(value form, struct scope *s)
{
    struct scope inner = {s, &nil, 1};
    struct node *lambda = node(LAMBDA, 1, NULL);
    value params = at(form, 1);
    for (; is(params, PAIR); params = params->cdr, lambda->params++)
        declare(params->car, &inner);
    lambda->rest = params != &nil;
    if (lambda->rest)
        declare(params, &inner);
    lambda->kid[0] = body(tail(form, 2), &inner);
    lambda->slot = inner.slots;
    return lambda;
}

/* ((lambda (x ...) body ...) form ...), which is what `let` becomes: no closure, its variables join this frame. */
static struct node *compile_let(value params, value forms, value inits, struct scope *s)
{
    struct node *all = node(SEQUENCE, length_of(inits) + 1, NULL), *set;
    struct scope inner = *s;
    int i = 0;
    for (; is(params, PAIR) && inits != &nil; params = params->cdr, inits = inits->cdr) {
        all->kid[i++] = set = node(SET, 2, NULL);
        set->kid[0] = compile(inits->car, s);
        inner.slots = s->slots;
        declare(params->car, &inner);
        s->slots = inner.slots;
        set->kid[1] = variable(params->car, &inner);
    }
    all->kid[i] = params == inits ? body(forms, &inner) : (void *)fail(params, "names and values differ in number: ");
    s->slots = inner.slots;
    return all;
}

/* In the order of enum syntax. */
static syntax_fn *const special_forms[] = {NULL,           compile_define,       compile_macro_call,
                                           compile_lambda, compile_quote,        compile_if,
                                           compile_set,    compile_define_macro, compile_begin};
static const char *const special_names[] = {"", "define", "", "lambda", "quote", "if", "set!", "define-macro", "begin"};

static struct node *compile(value form, struct scope *s)
{
    check_stack();
    if (is(form, SYMBOL))
        return variable(form, s);
    if (!is(form, PAIR) && form != &nil)
        return node(CONSTANT, 0, form);
    if (length_of(form) < 1)
        fail(form, "not a form: ");
    if (syntax_of(form, s))
        return special_forms[syntax_of(form, s)](form, s);
    if (syntax_of(form->car, s) == LAMBDA_FORM && length_of(at(form->car, 1)) >= 0)
        return compile_let(at(form->car, 1), tail(form->car, 2), form->cdr, s);
    struct node *call = node(CALL, length_of(form), NULL);
    for (int i = 0; i < call->n; i++, form = form->cdr)
        call->kid[i] = compile(form->car, s);
    value f = call->kid[0]->op == GLOBAL ? call->kid[0]->datum->global : NULL;
    if (f && is(f, BUILTIN) && f->fn != b_apply && call->n > f->min && call->n - 1 <= f->max &&
        call->n <= LOCAL_ARGS + 1) {
        call->op = CALL_KNOWN;
        call->datum = f;
    }
    return call;
}

/* ---- 4. run ------------------------------------------------------------------------------------------------------ */

static value eval(const struct node *n, value *frame);
static inline value operand(const struct node *n, value *frame);

static value *new_frame(int slots, value *up)
{
    value *frame = scanned((size_t)slots * sizeof(value));
    frame[0] = (value)up;
    return frame;
}

static value run(const struct node *n, int slots) { return eval(n, new_frame(slots, NULL)); }

static value *place(const struct node *n, value *frame)
{
    if (n->op == GLOBAL)
        return &n->datum->global;
    for (int i = n->depth; i > 0; i--)
        frame = (value *)frame[0];
    return &frame[n->slot];
}

/* What most calls are, without eval: of a builtin, and its name means the same as when the call was compiled. */
static value call_known(const struct node *n, value *frame)
{
    value a[LOCAL_ARGS];
    if (n->kid[0]->datum->global != n->datum)
        return eval(n, frame);
    for (int i = 1; i < n->n; i++)
        a[i - 1] = operand(n->kid[i], frame);
    return n->datum->fn(n->datum, n->n - 1, a);
}

static inline value operand(const struct node *n, value *frame)
{
    if (n->op > GLOBAL)
        return n->op == CALL_KNOWN ? call_known(n, frame) : eval(n, frame);
    value v = n->op == LOCAL ? frame[n->slot] : n->op == CONSTANT ? n->datum : *place(n, frame);
    return v ? v : fail(n->datum, n->op == GLOBAL ? "undefined: " : "used before it has a value: ");
}

static value *bind(value f, int n, const value *a)
{
    const struct node *lambda = f->lambda;
    value *frame = new_frame(lambda->slot, f->frame), rest = &nil;
    if (n < lambda->params || (n > lambda->params && !lambda->rest))
        fail(NULL, "a procedure of %d arguments called with %d", lambda->params, n);
    for (; n > lambda->params; n--)
        rest = cons(a[n - 1], rest);
    memcpy(frame + 1, a, (size_t)n * sizeof(value));
    if (lambda->rest)
        frame[lambda->params + 1] = rest;
    return frame;
}

/* (apply f x ... list): f, and x ... with the elements of the list, are what is called. */
static value *spread(value *f, int *n, value *a)
{
    int given = *n - 2, more = length_of(a[*n - 1]);
    value *all = scanned((size_t)(*n + (more < 0 ? fail(a[*n - 1], "apply: not a list: "), 0 : more)) * sizeof(value));
    memcpy(all, a + 1, (size_t)given * sizeof(value));
    for (value list = a[*n - 1]; list != &nil; list = list->cdr)
        all[given++] = list->car;
    *f = a[0];
    *n = given;
    return all;
}

/* Runs a call of a builtin and returns its value, or returns NULL, having replaced node and frame by what is called. */
static value call(const struct node **node, value **frame)
{
    const struct node *n = *node;
    value f = operand(n->kid[0], *frame);
    int given = n->n - 1;
    bool exact = is(f, CLOSURE) && f->lambda->params == given && !f->lambda->rest;
    value *new = exact ? new_frame(f->lambda->slot, f->frame) : scanned((size_t)n->n * sizeof(value)), *a = new + 1;
    for (int i = 0; i < given; i++)
        a[i] = operand(n->kid[i + 1], *frame);
    while (is(f, BUILTIN) && f->fn == b_apply)
        a = spread(&f, &given, a);
    if (is(f, BUILTIN))
        return given >= f->min && given <= f->max ? f->fn(f, given, a) : fail(f, "%d arguments given to ", given);
    *frame = exact ? new : is(f, CLOSURE) ? bind(f, given, a) : (void *)fail(f, "not a procedure: ");
    *node = f->lambda->kid[0];
    return NULL;
}

static value eval(const struct node *n, value *frame)
{
    value v;
    int i;
    check_stack();
    for (;;) {
        switch (n->op) {
        case SET:
            if (n->kid[1]->op == GLOBAL)
                operand(n->kid[1], frame); /* fails when there is no such variable */
            /* fall through */
        case DEFINE:
            v = operand(n->kid[0], frame);
            *place(n->kid[1], frame) = v;
            return &nothing;
        case IF:
            n = n->kid[operand(n->kid[0], frame) == &no ? 2 : 1];
            break;
        case SEQUENCE:
            for (i = 0; i < n->n - 1; i++)
                operand(n->kid[i], frame);
            n = n->kid[i];
            break;
        case LAMBDA:
            v = make(CLOSURE);
            v->lambda = n;
            v->frame = frame;
            return v;
        case CALL_KNOWN:
            if (n->kid[0]->datum->global == n->datum)
                return call_known(n, frame);
            /* fall through */
        case CALL:
            v = call(&n, &frame);
            if (v)
                return v;
            break;
        default:
            return operand(n, frame);
        }
    }
}

/* ---- 5. builtins ------------------------------------------------------------------------------------------------- */

struct builtin {
    const char *names;
    struct object model;
    struct builtin *next;
};
static struct builtin *builtins;

/* Defines the builtins of these names, blanks between them, with least and most arguments. start makes them known. */
#define B(names, f, least, most)                                                                                       \
    static builtin_fn f;                                                                                               \
    static struct builtin f##_b = {names, {.tag = BUILTIN, .min = least, .max = most, .fn = f}, NULL};                 \
    static void __attribute__((__constructor__)) f##_link(void) { f##_b.next = builtins, builtins = &f##_b; }          \
    static value f(UNUSED value self, UNUSED int n, UNUSED value *a)

static value want(value self, enum tag t, value v)
{
    return tag_of(v) == t ? v : fail(v, "%s: wants a %s, not ", self->name, tag_names[t]);
}

static intptr_t want_int(value self, value v, intptr_t limit)
{
    bool good = is_int(v) && int_of(v) >= 0 && int_of(v) < limit;
    return int_of(good ? v : fail(v, "%s: wants an integer within bounds, not ", self->name));
}

static double want_number(value self, value v) { return is_int(v) ? (double)int_of(v) : want(self, REAL, v)->real; }
static bool eqv(value x, value y) { return x == y || (is(x, REAL) && is(y, REAL) && x->real == y->real); }

/* An integer when both are and the result fits, else a real. */
static value combine(value self, char op, value x, value y)
{
    intptr_t r = 0;
    bool ints = is_int(x) && is_int(y), over = op == '/';
    if (ints && op == '/' && int_of(y) && int_of(x) % int_of(y) == 0)
        return combine(self, '*', integer(int_of(x) / int_of(y)), integer(1));
    if (ints && op != '/')
        over = op == '+'   ? __builtin_add_overflow(int_of(x), int_of(y), &r)
               : op == '-' ? __builtin_sub_overflow(int_of(x), int_of(y), &r)
                           : __builtin_mul_overflow(int_of(x), int_of(y), &r);
    if (ints && !over && int_of(integer(r)) == r)
        return integer(r);
    double c = want_number(self, x), d = want_number(self, y);
    return real(op == '+' ? c + d : op == '-' ? c - d : op == '*' ? c * d : c / d);
}

B("+ - * /", b_arith, 0, MANY)
{
    value sum = n > 1 ? a[0] : integer(*self->name == '*' || *self->name == '/');
    for (int i = n > 1; i < n; i++)
        sum = combine(self, *self->name, sum, a[i]);
    return sum;
}

B("quotient remainder", b_divide, 2, 2)
{
    intptr_t x = int_of(want(self, INTEGER, a[0])), y = int_of(want(self, INTEGER, a[1]));
    if (!y)
        fail(a[0], "%s: division by zero of ", self->name);
    return *self->name == 'r' ? integer(x % y) : combine(self, '*', integer(x / y), integer(1));
}

B("= < > <= >=", b_compare, 1, MANY)
{
    const char *op = self->name;
    for (int i = 0; i + 1 < n; i++) {
        int order = (int_of(a[i]) > int_of(a[i + 1])) - (int_of(a[i]) < int_of(a[i + 1]));
        if (!is_int(a[i]) || !is_int(a[i + 1])) {
            double x = want_number(self, a[i]), y = want_number(self, a[i + 1]);
            order = x < y ? -1 : x > y ? 1 : x == y ? 0 : 2; /* 2: not a number */
        }
        if (order == 0 ? *op != '=' && !op[1] : order < 0 ? *op != '<' : order > 1 || *op != '>')
            return &no;
    }
    return &yes;
}

B("boolean? char? integer? real? string? symbol? vector? closure? builtin?", b_is, 1, 1)
{
    return boolean(strncmp(self->name, tag_names[tag_of(a[0])], strlen(self->name) - 1) == 0);
}
B("number->string", b_number_to_string, 1, 1) { return want_number(self, a[0]), text(format_number(a[0])); }
B("string->number", b_string_to_number, 1, 1) { return parse_number(want(self, STRING, a[0])->text); }
B("null?", b_is_null, 1, 1) { return boolean(a[0] == &nil); }
B("pair?", b_is_pair, 1, 1) { return boolean(is(a[0], PAIR)); }
B("not", b_not, 1, 1) { return boolean(a[0] == &no); }
B("eq?", b_eq, 2, 2) { return boolean(a[0] == a[1]); }
B("eqv?", b_eqv, 2, 2) { return boolean(eqv(a[0], a[1])); }
B("sqrt", b_sqrt, 1, 1) { return real(sqrt(want_number(self, a[0]))); }
B("inexact", b_inexact, 1, 1) { return real(want_number(self, a[0])); }
B("cons", b_cons, 2, 2) { return cons(a[0], a[1]); }
B("car", b_car, 1, 1) { return want(self, PAIR, a[0])->car; }
B("cdr", b_cdr, 1, 1) { return want(self, PAIR, a[0])->cdr; }
B("set-car!", b_set_car, 2, 2) { return want(self, PAIR, a[0])->car = a[1], &nothing; }
B("set-cdr!", b_set_cdr, 2, 2) { return want(self, PAIR, a[0])->cdr = a[1], &nothing; }
B("length", b_length, 1, 1) { return length_of(a[0]) < 0 ? fail(a[0], "not a list: ") : integer(length_of(a[0])); }
B("floor", b_floor, 1, 1) { return is_int(a[0]) ? a[0] : real(floor(want(self, REAL, a[0])->real)); }
B("%exact", b_exact, 1, 1) { return is_int(a[0]) ? a[0] : integer((intptr_t)want(self, REAL, a[0])->real); }

static value *item(value self, value *a)
{
    value v = want(self, VECTOR, a[0]);
    return &v->item[want_int(self, a[1], v->length)];
}
B("make-vector", b_make_vector, 1, 2) { return vector(want_int(self, a[0], 1 << 30), n > 1 ? a[1] : &nothing); }
B("vector-ref", b_vector_ref, 2, 2) { return *item(self, a); }
B("vector-set!", b_vector_set, 3, 3) { return *item(self, a) = a[2], &nothing; }
B("vector-length", b_vector_length, 1, 1) { return integer(want(self, VECTOR, a[0])->length); }

static char *letter(value self, value *a)
{
    value v = want(self, STRING, a[0]);
    return &v->text[want_int(self, a[1], v->length)];
}
B("string-ref", b_string_ref, 2, 2) { return character(*letter(self, a)); }
B("string-set!", b_string_set, 3, 3) { return *letter(self, a) = (char)want(self, CHAR, a[2])->length, &nothing; }
B("string-length", b_string_length, 1, 1) { return integer(want(self, STRING, a[0])->length); }
B("string->symbol", b_string_to_symbol, 1, 1) { return intern(want(self, STRING, a[0])->text); }
B("symbol->string", b_name, 1, 1) { return text(want(self, SYMBOL, a[0])->name); }
B("char->integer", b_char_to_integer, 1, 1) { return integer(want(self, CHAR, a[0])->length); }
B("integer->char", b_integer_to_char, 1, 1) { return character((int)want_int(self, a[0], 256)); }

B("make-string", b_make_string, 1, 1) { return string(NULL, want_int(self, a[0], 1 << 30)); }
static int order(value self, value *a)
{
    return strcmp(want(self, STRING, a[0])->text, want(self, STRING, a[1])->text);
}
B("string=?", b_same_string, 2, 2) { return boolean(order(self, a) == 0); }
B("string<?", b_less_string, 2, 2) { return boolean(order(self, a) < 0); }

B("display write", b_display, 1, 1) { return print(stdout, a[0], *self->name == 'w'), &nothing; }
B("newline", b_newline, 0, 0) { return putchar('\n'), &nothing; }
B("command-line", b_command_line, 0, 0) { return command_line; }
B("explain", b_explain, 1, 1) { return fflush(stdout), gc_explain(a[0], 1), &nothing; }
B("%fail", b_fail, 1, 2) { return fail(n > 1 ? a[1] : NULL, n > 1 ? "%s " : "%s", want(self, STRING, a[0])->text); }
B("exit", b_exit, 0, 1) { exit(n ? (int)want_int(self, a[0], 256) : 0); }
B("apply", b_apply, 2, MANY) { return fail(self, "never run, see call: "); }

/* ---- 6. start ---------------------------------------------------------------------------------------------------- */

static const char prelude[] =
#include "scheme/prelude.h"
    ;

static bool echo; /* print the values of forms */

static void run_text(const char *text)
{
    for (line = 1; skip_space(&text);) {
        struct scope top = {NULL, &nil, 1};
        int start = line;
        value form = read_form(&text);
        form_line = start;
        const struct node *n = compile(form, &top);
        value v = run(n, top.slots);
        if (echo && v != &nothing)
            print(stdout, v, true), putchar('\n');
    }
}

static void start(void)
{
    for (int i = 0; i < 256; i++)
        chars[i] = (struct object){.tag = CHAR, .length = i};
    for (short i = 1; i < N_SYNTAX; i++)
        intern(special_names[i])->syntax = i;
    for (const struct builtin *b = builtins; b; b = b->next) {
        char *names = checked(gc_strndup(b->names, strlen(b->names)));
        for (const char *name = strtok(names, " "); name; name = strtok(NULL, " ")) {
            value one = make(BUILTIN);
            *one = b->model;
            one->name = name;
            intern(name)->global = one;
        }
    }
    run_text(prelude);
}

static void *run_program(void *text)
{
    stack_end = (uintptr_t)__builtin_frame_address(0) - STACK_BYTES + STACK_SPARE;
    start();
    run_text(text);
    return NULL;
}

static char *read_all(FILE *in)
{
    size_t n = 0, size = 1 << 16;
    char *text = unscanned(size);
    while (in && (n += fread(text + n, 1, size - n, in)) == size)
        text = checked(gc_realloc(text, size *= 2));
    if (!in || ferror(in)) {
        fprintf(stderr, "lisp: %s: %s\n", file, strerror(errno));
        exit(1);
    }
    text[n] = 0;
    return text;
}

int main(int argc, char **argv)
{
    bool in = argc < 2 || strcmp(argv[1], "-") == 0, expr = argc > 2 && strcmp(argv[1], "-e") == 0;
    if (!in && !expr && argv[1][0] == '-') {
        fputs("usage: lisp [FILE | - | -e EXPR] [ARG...]\n", stderr);
        return 2;
    }
    echo = expr;
    file = in ? "standard input" : argv[1];
    char *program = expr ? argv[2] : read_all(in ? stdin : fopen(file, "r"));
    for (int i = argc; i-- > 1 + expr;)
        command_line = cons(text(argv[i]), command_line);
    pthread_attr_t attr;
    pthread_t thread;
    if (pthread_attr_init(&attr) || pthread_attr_setstacksize(&attr, STACK_BYTES) ||
        pthread_create(&thread, &attr, run_program, program) || pthread_join(thread, NULL))
        fail(NULL, "no thread with a stack of %d bytes", STACK_BYTES);
    if (fflush(stdout) != 0 || ferror(stdout))
        fail(NULL, "writing standard output: %s", strerror(errno));
    return 0;
}
