# cython: language_level=3
"""What the processor can do, asked of the processor and the operating system."""

cdef extern from *:
    """
    #if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
    /* The compiler's run-time support also asks whether the system saves the wide registers. */
    static int has_v3(void)
    {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
            && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    }
    static int has_v4(void)
    {
        return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
            && __builtin_cpu_supports("avx512vl");
    }
    #else
    static int has_v3(void) { return 0; }
    static int has_v4(void) { return 0; }
    #endif
    """
    int has_v3()
    int has_v4()


def has(level):
    """Whether the processor has the x86-64 level "v3" (AVX2, FMA) or "v4" (AVX-512)."""
    return bool(has_v3() if level == "v3" else has_v4() if level == "v4" else False)
