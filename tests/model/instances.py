"""The instances of the models that are run, and what in them cannot be reached, and why."""

from model import Instance, mask

CONTROL = mask("TEARDOWN PAUSE RESUME APIC CLOCK TIMER")
PEER = mask("INIT SIPI NMI EVENT PERMIT")

INSTANCES = [
    Instance("word-bsp", "word.pml", {"BSP": 1, "BUDGET": 3, "CONTROL": CONTROL, "PEER": PEER}),
    Instance("word-ap", "word.pml", {"BSP": 0, "BUDGET": 4, "CONTROL": CONTROL, "PEER": PEER}, {"BUDGET": 3}),
    Instance("sipi", "word.pml", {"BSP": 0, "BUDGET": 6, "CONTROL": mask("PAUSE RESUME"),
                                  "PEER": mask("INIT SIPI NMI")}, {"BUDGET": 5}),
    Instance("broadcast", "broadcast.pml", {"TOGGLES": 1, "OTHERS": 1, "ROUNDS": 1, "WAITS": 0}, {"OTHERS": 0}),
    Instance("broadcast-wait", "broadcast.pml", {"TOGGLES": 1, "OTHERS": 0, "ROUNDS": 1, "WAITS": 1}),
    Instance("posted", "posted.pml", {"PI": 0, "POSTS": 2, "RESET": 1}, {"POSTS": 1}),
    Instance("posted-pi", "posted.pml", {"PI": 1, "POSTS": 2, "RESET": 1}, {"POSTS": 1}),
    Instance("teardown-ask", "teardown.pml", {"DOES": 0, "START": 0}, {"START": 1}),
    Instance("teardown-park", "teardown.pml", {"DOES": 1, "START": 0}, {"START": 1}),
    Instance("teardown-end", "teardown.pml", {"DOES": 2, "START": 0}, {"START": 1}),
    Instance("teardown-timer", "teardown.pml", {"DOES": 3, "START": 1}),
    Instance("timer", "timer.pml", {"SETS": 3}),
]

# Model: {text of a statement: why nothing gets there}
NO_PLAIN_STORE = "the code has no plain store to PIR or ON; mutants do"
FOR_EVER = "the store buffers outlive everybody"
WORKER_IDLE = "the timer's instance, where the worker does nothing"

UNREACHED = {
    "word.pml": {"must = 1": "nobody waits there: broadcast.pml", "w[].ack = 1": "the same",
                 "i_stop = (r==1)": "no vCPU pauses or resumes itself"},
    "broadcast.pml": {"w[].vector = 0": "no INIT and SIPI there: word.pml"},
    "posted.pml": {"-end-": FOR_EVER, "at = 0": NO_PLAIN_STORE, "val = 0": NO_PLAIN_STORE,
                   "memory[at] = val": NO_PLAIN_STORE},
    "teardown.pml": {"-end-": FOR_EVER, "((3==0))": WORKER_IDLE, "((3==1))": WORKER_IDLE, "((3==2))": WORKER_IDLE,
                     "rq[choice]!1": "nobody wakes the worker from the CPU on which it sleeps"},
}
