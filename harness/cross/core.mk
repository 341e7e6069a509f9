# SPDX-License-Identifier: Apache-2.0
# The binary32 core for one processor, with nothing but its C compiler and libc. Run in a folder of its own:
#     make -f core.mk CC=... SOURCE=... GENERATED=... FLAGS=... KERNELS='ref/kernels/maps.c ...' OTHERS='ref/rng.c ...'
# SOURCE, GENERATED: the folders of the sources and of variants_list.c, suites_list.c; FLAGS: the arithmetic's.
COMPILE = $(CC) $(FLAGS) -O2 -I$(SOURCE) -DASSAY_CORE_ONLY -Wall -Wextra -Wshadow -pthread -MMD -c

core: $(KERNELS:%.c=kernels/%.o) $(OTHERS:%.c=others/%.o) generated/variants_list.o generated/suites_list.o
	$(CC) -static -pthread -o $@ $^ -lm

kernels/%.o: $(SOURCE)/%.c
	@mkdir -p $(@D)
	$(COMPILE) -fopenmp-simd -DASSAY_PROFILE=32 -DASSAY_LEVEL=base -o $@ $<
others/%.o: $(SOURCE)/%.c
	@mkdir -p $(@D)
	$(COMPILE) -o $@ $<
generated/%.o: $(GENERATED)/%.c
	@mkdir -p $(@D)
	$(COMPILE) -o $@ $<

-include $(shell find . -name '*.d')
