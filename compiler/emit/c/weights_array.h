/// The weights, to be given to @NAME@_run.
extern const unsigned char @NAME@_weights[@WEIGHT_ARRAY_BYTES@];
