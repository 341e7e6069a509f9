/* SPDX-License-Identifier: Apache-2.0 */
/* The version of the arithmetic (ref/ARITHMETIC.md): it changes whenever a defined bit does. */
#ifndef ASSAY_VERSION_H
#define ASSAY_VERSION_H

#define ASSAY_ARITHMETIC "1.0"

#endif
