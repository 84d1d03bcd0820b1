/*
 * An intrusive red-black tree, ordered by a 64-bit key. The caller does the locking. In the worst case, insertion and
 * removal take O(log n). The first node is found in O(1).
 *
 * Keys are compared modulo 2^64: a is before b if (int64_t)(a - b) < 0. This is an order only while all keys in a tree
 * lie within 2^63 of each other; the caller must see to that. Nodes with equal keys stay in the order of insertion.
 */
#ifndef LIB_RBTREE_H
#define LIB_RBTREE_H

#include "abi/types.h"

struct rb_node {
    struct rb_node *parent;
    struct rb_node *child[2]; /* before, after */
    uint64_t key;             /* the caller sets it before rb_insert, and must not change it until rb_erase */
    bool red;
};

/* All zero: an empty tree. */
struct rb_tree {
    struct rb_node *root;
    struct rb_node *first; /* smallest key */
};

static inline bool rb_key_before(uint64_t a, uint64_t b) { return (int64_t)(a - b) < 0; }

/* Add a node. It must be in no tree, and node->key must be set. */
void rb_insert(struct rb_tree *tree, struct rb_node *node);

/* Remove a node. It must be in this tree. */
void rb_erase(struct rb_tree *tree, struct rb_node *node);

/* The node with the smallest key; of equals, the one inserted first. NULL: the tree is empty. */
static inline struct rb_node *rb_first(const struct rb_tree *tree) { return tree->first; }

/* The node after this one. NULL: this node is the last. */
struct rb_node *rb_next(const struct rb_node *node);

#endif
