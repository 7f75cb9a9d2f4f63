"""What vector.h declares, for Cython. `vector` is a register of LANES doubles; Cython need not know more than that."""

cdef extern from "vector.h" nogil:
    ctypedef double vector
    enum:
        LANES        # doubles in a register
        PIXELS       # output positions of a tile
        CHANNELS     # output channels of a tile
        VECTORS      # registers that hold one position's channels
        SUMMED       # positions that are summed before they are proved
        PROVES_NEIGHBOURS    # whether store_neighbours proves anything
    vector vector_set(double x)
    vector vector_load(const double* source)
    void vector_store(double* target, vector value)
    vector vector_add(vector a, vector b)
    vector vector_fma(vector a, vector b, vector c)
    int vector_test_float32(vector s, vector e, float* rounded)
    int vector_test_float64(vector high, vector low, vector e, double* rounded)
    void store_transposed(const float* block, char* target, Py_ssize_t channel_step)
    bint store_proved(
        const vector* sums, const vector* biases, const vector* errors, char* target, Py_ssize_t channel_step)
    bint store_neighbours(const vector* low, const double* twice, char* target, Py_ssize_t channel_step)
    void widen_transposed(const char* source, Py_ssize_t channel_step, double* target, double* squares)
    void lower_powers(const double* x, double* powers, Py_ssize_t count)
    void prefetch(const char* address, Py_ssize_t size)
    void two_product(double a, double b, double* product, double* error)
