/// The weights out of @NAME@.weights, to be given to free(); NULL where the file is
/// missing, damaged or another model's, or there is no memory.
void *@NAME@_load_weights(const char *path);
