/* Units of work are given out by a counter that threads share. */
#include <stddef.h>

#if defined(_MSC_VER)
#include <intrin.h>
#endif

/* Adds 1 and returns what was there before. Nothing else is made visible to other threads by it. */
static inline ptrdiff_t claim_next(ptrdiff_t *counter)
{
#if defined(_MSC_VER) && defined(_WIN64)
    return (ptrdiff_t)_InterlockedExchangeAdd64((volatile __int64 *)counter, 1);
#elif defined(_MSC_VER)
    return (ptrdiff_t)_InterlockedExchangeAdd((volatile long *)counter, 1);
#else
    return __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
#endif
}
