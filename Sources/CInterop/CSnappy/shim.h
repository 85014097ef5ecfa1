// The C interface of snappy.
#pragma once
#include <snappy-c.h>
