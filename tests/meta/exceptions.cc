// exceptions.cc - a C++ exception holds what it points to, while it flies and while anybody keeps it, and no longer.
// Every collection is one without stacks, so that no copy there can hold what the exception should.
#include <spangc.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

namespace
{
constexpr std::size_t size = 64;

void must(bool good, const char *what, int line)
{
    if (good)
        return;
    std::fprintf(stderr, "exceptions.cc:%d: not true: %s\n", line, what);
    std::_Exit(1);
}
#define MUST(x) must(x, #x, __LINE__)

std::atomic<bool> with_stacks; // once there are threads, they need theirs

// Whatever is not held is gone after this, and its memory written over.
__attribute__((noinline)) void collect_and_churn()
{
    for (int i = 0; i < 2; i++) {
        with_stacks ? gc_collect() : gc_collect_without_stacks();
        for (int k = 0; k < 2000; k++) {
            void *p = gc_malloc(size);
            __asm__ volatile("" : "+r"(p));
            std::memset(p, 0xee, size);
        }
    }
}

__attribute__((noinline)) unsigned char *make(unsigned char tag)
{
    auto *p = static_cast<unsigned char *>(gc_malloc(size));
    std::memset(p, tag | 0x80, size);
    return p;
}

struct error {
    unsigned char *object;
    explicit error(unsigned char tag) : object(make(tag)) {}
    void check(unsigned char tag) const
    {
        MUST(gc_base(object) == object);
        for (std::size_t i = 0; i < size; i++)
            MUST(object[i] == (tag | 0x80));
    }
};

struct big_error : std::runtime_error {
    char before[1000];
    error inner;
    big_error() : std::runtime_error("big"), before(), inner(9) {}
};

struct collects_when_unwound {
    ~collects_when_unwound() { collect_and_churn(); }
};

__attribute__((noinline)) void throw_through_frames(int depth)
{
    collects_when_unwound here;
    if (depth > 0)
        throw_through_frames(depth - 1);
    throw error(1);
}

void in_flight()
{
    try {
        throw_through_frames(3);
    } catch (const error &e) {
        collect_and_churn();
        e.check(1);
    }
    try {
        throw big_error();
    } catch (const std::exception &e) {
        collect_and_churn();
        dynamic_cast<const big_error &>(e).inner.check(9);
    }
}

void rethrown()
{
    try {
        try {
            throw error(2);
        } catch (...) {
            collects_when_unwound here;
            throw;
        }
    } catch (error &e) {
        collect_and_churn();
        e.check(2);
    }
}

void nested()
{
    try {
        try {
            throw error(3);
        } catch (...) {
            collects_when_unwound here;
            std::throw_with_nested(big_error());
        }
    } catch (const big_error &outer) {
        collect_and_churn();
        outer.inner.check(9);
        try {
            std::rethrow_if_nested(outer);
        } catch (const error &e) {
            collect_and_churn();
            e.check(3);
        }
    }
}

// A second one thrown and caught while the first is on its way.
struct throws_when_unwound {
    ~throws_when_unwound()
    {
        try {
            throw error(4);
        } catch (const error &e) {
            collect_and_churn();
            e.check(4);
        }
    }
};

void two_in_flight()
{
    try {
        throws_when_unwound here;
        throw error(5);
    } catch (const error &e) {
        collect_and_churn();
        e.check(5);
    }
}

std::exception_ptr kept_from_catch()
{
    try {
        throw error(6);
    } catch (...) {
        return std::current_exception();
    }
}

void check_kept(const std::exception_ptr &kept, unsigned char tag)
{
    collect_and_churn();
    for (int i = 0; i < 2; i++) { // each rethrow makes a dependent exception
        try {
            collects_when_unwound here;
            std::rethrow_exception(kept);
        } catch (const error &e) {
            collect_and_churn();
            e.check(tag);
        }
    }
    collect_and_churn();
}

void kept()
{
    auto *in_malloc_memory = new std::exception_ptr(kept_from_catch());
    check_kept(*in_malloc_memory, 6);
    delete in_malloc_memory;
    check_kept(std::make_exception_ptr(error(7)), 7);
}

std::uint64_t objects()
{
    struct gc_memstats st;
    gc_read_memstats(&st);
    return st.heap_objects;
}

// The twin: no longer than that. Many, so that the table grows and shrinks; in an order that is not theirs.
void let_go()
{
    constexpr std::size_t n = 5000;
    collect_and_churn();
    gc_collect_without_stacks();
    const std::uint64_t before = objects();
    std::vector<std::exception_ptr> all;
    for (std::size_t i = 0; i < n; i++)
        all.push_back(i % 2 ? std::make_exception_ptr(error(8)) : kept_from_catch());
    gc_collect_without_stacks();
    MUST(objects() - before >= n);
    for (std::size_t i = 0; i < n; i += 3)
        all[i] = nullptr;
    gc_collect_without_stacks();
    const std::uint64_t left = n - (n + 2) / 3;
    MUST(objects() - before >= left && objects() - before <= left + n / 20);
    collect_and_churn();
    for (std::size_t i = 0; i < n; i++) {
        try {
            if (all[i])
                std::rethrow_exception(all[i]);
        } catch (const error &e) {
            e.check(i % 2 ? 8 : 6);
        }
    }
    all.clear();
    gc_collect_without_stacks();
    MUST(objects() - before <= n / 20);
}

int throwing_compare(const void *a, const void *b)
{
    static int n;
    if (++n == 3000)
        throw error(10);
    return **static_cast<int *const *>(a) - **static_cast<int *const *>(b);
}

// Out of qsort, with what it sorts unharmed.
void through_qsort()
{
    static int *numbers[1000];
    for (int i = 0; i < 1000; i++) {
        numbers[i] = static_cast<int *>(gc_malloc_noscan(16));
        *numbers[i] = i * 7919 % 1000;
    }
    bool caught = false;
    try {
        collects_when_unwound here;
        std::qsort(numbers, 1000, sizeof *numbers, throwing_compare);
    } catch (const error &e) {
        collect_and_churn();
        e.check(10);
        caught = true;
    }
    MUST(caught);
    long sum = 0;
    for (int *p : numbers)
        sum += *p;
    MUST(sum == 1000L * 999 / 2);
}

void throw_often(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        const auto tag = static_cast<unsigned char>(i);
        try {
            throw error(tag);
        } catch (const error &e) {
            if (i % 16 == 0)
                std::this_thread::yield();
            e.check(tag);
        }
    }
}

void by_many_threads()
{
    with_stacks = true;
    std::atomic<bool> enough{false};
    std::thread collector([&] {
        while (!enough)
            collect_and_churn();
    });
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++)
        threads.emplace_back(throw_often, 20000);
    for (auto &t : threads)
        t.join();
    std::promise<int> promise; // from one thread to another
    std::thread thrower([&] { promise.set_exception(kept_from_catch()); });
    thrower.join();
    collect_and_churn();
    try {
        promise.get_future().get();
    } catch (const error &e) {
        collect_and_churn();
        e.check(6);
    }
    enough = true;
    collector.join();
}
} // namespace

int main()
{
    in_flight();
    rethrown();
    nested();
    two_in_flight();
    kept();
    let_go();
    through_qsort();
    by_many_threads();
    std::puts("exceptions hold what they point to");
}
