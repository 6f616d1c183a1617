_Alignas(64) const unsigned char @NAME@_weights[@WEIGHT_ARRAY_BYTES@] = {
@WEIGHT_ARRAY@};
