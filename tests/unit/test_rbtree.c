/* lib/rbtree.c against a sorted array, with the tree's own rules checked after each step. */
// links: lib/rbtree.c
#include "lib/rbtree.h"

#include "tests/unit/test.h"

#define NODES 300

/* The height in black nodes, or -1 if a rule is broken below this node. */
static int check_below(const struct rb_node *node, const struct rb_node *parent, int *depth)
{
    int height[2], deepest[2];

    *depth = 0;
    if (!node)
        return 0;
    if (node->parent != parent || (node->red && (!parent || parent->red)))
        return -1;
    for (int side = 0; side < 2; side++)
        height[side] = check_below(node->child[side], node, &deepest[side]);
    *depth = 1 + MAX(deepest[0], deepest[1]);
    if (height[0] < 0 || height[0] != height[1])
        return -1;
    return height[0] + !node->red;
}

/* model[0..count) is what the tree has to hold, in this order. */
static void check_tree(const struct rb_tree *tree, struct rb_node *const *model, int count)
{
    const struct rb_node *node = rb_first(tree);
    int depth, log = 0;

    CHECK(check_below(tree->root, NULL, &depth) >= 0);
    while ((1 << log) < count + 1)
        log++;
    CHECK(depth <= 2 * log);
    for (int i = 0; i < count; i++) {
        CHECK(node == model[i]);
        if (node != model[i])
            return;
        node = rb_next(node);
    }
    CHECK(node == NULL);
}

static int model_insert(struct rb_node **model, int count, struct rb_node *node)
{
    int at = count;

    for (; at > 0 && (int64_t)(node->key - model[at - 1]->key) < 0; at--)
        model[at] = model[at - 1];
    model[at] = node;
    return count + 1;
}

/* Random insertions and removals of up to NODES nodes with keys base + 0..range-1. */
static void churn(uint64_t seed, uint64_t base, uint64_t range, int rounds)
{
    static struct rb_node nodes[NODES];
    struct rb_node *model[NODES], *free_nodes[NODES];
    struct rb_tree tree = {0};
    int count = 0;

    memset(nodes, 0xa5, sizeof(nodes)); /* rb_insert has to set all but the key */
    for (int i = 0; i < NODES; i++)
        free_nodes[i] = &nodes[i];
    for (int round = 0; round < rounds; round++) {
        /* Phases of growth and of shrinking, so that all sizes come up. */
        bool grow = test_random(&seed) % 8 < (round / (2 * NODES) % 2 ? 3 : 5);

        if (count == 0 || (grow && count < NODES)) {
            struct rb_node *node = free_nodes[count];

            node->key = base + test_random(&seed) % range;
            rb_insert(&tree, node);
            count = model_insert(model, count, node);
        } else {
            int at = (int)(test_random(&seed) % (uint64_t)count);
            struct rb_node *node = model[at];

            rb_erase(&tree, node);
            memmove(&model[at], &model[at + 1], (size_t)(count - at - 1) * sizeof(*model));
            free_nodes[--count] = node;
        }
        check_tree(&tree, model, count);
    }
}

TEST(like_a_sorted_array)
{
    churn(1, 0, UINT64_MAX / 2, 6000);
    churn(2, 1000, 1000, 6000);
}

TEST(equal_keys_stay_in_order)
{
    churn(3, 7, 1, 3000);
    churn(4, 7, 10, 3000);
}

TEST(keys_may_wrap_around)
{
    churn(5, UINT64_MAX - 500, 1000, 3000);
    churn(6, INT64_MAX - 500, 1000, 3000);
}

TEST(ascending_and_descending)
{
    static struct rb_node nodes[2][NODES];
    struct rb_node *model[NODES];

    for (int down = 0; down < 2; down++) {
        struct rb_tree tree = {0};
        int count = 0;

        for (int i = 0; i < NODES; i++) {
            struct rb_node *node = &nodes[down][i];

            node->key = (uint64_t)(down ? NODES - i : i);
            rb_insert(&tree, node);
            count = model_insert(model, count, node);
            check_tree(&tree, model, count);
        }
        for (int i = 0; i < NODES; i++) {
            CHECK(rb_first(&tree) == model[i]);
            rb_erase(&tree, rb_first(&tree));
            check_tree(&tree, model + i + 1, NODES - i - 1);
        }
        CHECK(tree.root == NULL);
    }
}
