# The vCPU core on the host (tests/core/core.h says what that is): root's own files, compiled for the host.

core_root  := kernel/vm/word.c kernel/vm/inhibit.c kernel/threads/mutex.c kernel/vm/vcpu.c kernel/vm/vm.c kernel/vm/serve.c kernel/vm/inject.c \
	kernel/vm/exit.c kernel/vm/control_registers.c kernel/vm/upcall.c kernel/threads/thread.c kernel/threads/schedule.c kernel/threads/timer.c \
	kernel/vm/bill.c kernel/vm/vm_fail.c lapic/lapic.c lapic/access.c \
	lapic/ipi.c lapic/timer.c sched/fair.c sched/group.c sched/balance.c lib/rbtree.c lib/timerq.c
core_made  := tests/core/machine.c tests/core/memory.c tests/core/guest.c tests/core/actors.c tests/core/ghost.c \
	tests/core/idle.c
core_flags := -std=gnu11 -g -O1 -Itests/core/shadow -I. $(host_warnings) -MMD -MP -fno-omit-frame-pointer -fno-pie \
	-Wno-address-of-packed-member
core_seen  := $(core_flags) -fsanitize=thread -fsanitize=undefined -fsanitize-undefined-trap-on-error
comma      := ,
core_wraps := $(foreach f,thread_wake thread_poke thread_create thread_destroy word_start word_ask word_ask_wait \
	word_take word_take_event vm_broadcast schedule_tick sched_wake_cpu sched_rq_init,-Wl$(comma)--wrap=$(f))

# Both programs take root's files with each access to memory visible; only `soak` has ThreadSanitizer behind it.
build/core/root/%.o: %.c mk/core.mk
	@mkdir -p $(@D)
	@$(HOST_CC) $(core_seen) -c $< -o $@

build/core/made/%.o: %.c mk/core.mk
	@mkdir -p $(@D)
	@$(HOST_CC) $(core_flags) -c $< -o $@

core_objects := $(core_root:%.c=build/core/root/%.o) $(core_made:%.c=build/core/made/%.o)

build/core/core: $(core_objects) build/core/made/tests/core/by_turns.o
	@echo "  CORE  $@"
	@$(HOST_CC) -no-pie $(core_wraps) -o $@ $^ -lpthread

core_atomics := $(foreach bits,8 32 64,$(foreach f,load store exchange fetch_add fetch_sub fetch_and fetch_or \
	compare_exchange_strong compare_exchange_weak,-Wl$(comma)--wrap=__tsan_atomic$(bits)_$(f)))

build/core/soak: $(core_objects) build/core/made/tests/core/by_threads.o
	@echo "  CORE  $@"
	@$(HOST_CC) -no-pie -fsanitize=thread $(core_wraps) $(core_atomics) -o $@ $^ -lpthread

# ---- Running them ------------------------------------------------------------------------------------------------

SEED       ?= 1
CORE_RUNS  ?= 20000
OPERATIONS ?= 100000000
core_tsan  := TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1 history_size=4"

.PHONY: test-core soak core-breaks
test-core: build/core/core build/core/soak
	@tests/core/run $(CORE_RUNS) 1000000

# With SEED=N and OPERATIONS=N. Takes many minutes.
soak: build/core/soak
	@$(core_tsan) build/core/soak --seed $(SEED) --operations $(OPERATIONS)

core-breaks: build/core/core
	@tests/core/breaks.py

-include $(core_objects:.o=.d) build/core/made/tests/core/by_turns.d build/core/made/tests/core/by_threads.d
