// plugin.cc - a C++ library that a C program opens: it throws, catches, and keeps an exception.
#include <spangc.h>

#include <cstdint>
#include <cstring>
#include <exception>

struct error {
    unsigned char *object;
};

static std::exception_ptr kept;

__attribute__((noinline)) static void throw_one()
{
    error e{static_cast<unsigned char *>(gc_malloc(64))};
    std::memset(e.object, 0x99, 64);
    throw e;
}

extern "C" void plugin_keep()
{
    try {
        throw_one();
    } catch (...) {
        kept = std::current_exception();
    }
}

static bool whole(const error &e)
{
    for (int i = 0; i < 64; i++)
        if (e.object[i] != 0x99)
            return false;
    return gc_base(e.object) == e.object;
}

// Whether the exception's object is still what it was; it is let go.
extern "C" int plugin_check()
{
    try {
        std::rethrow_exception(kept);
    } catch (const error &e) {
        bool good = whole(e);
        kept = nullptr;
        return good;
    }
}

extern "C" void plugin_churn()
{
    gc_collect_without_stacks();
    for (int i = 0; i < 5000; i++) {
        void *p = gc_malloc(64);
        __asm__ volatile("" : "+r"(p));
        std::memset(p, 0xee, 64);
    }
}
