/* Cases that mirror each other are written once: `side` is 0 or 1, and `!side` is the other side. */
#include "lib/rbtree.h"

static bool is_red(const struct rb_node *node)
{
    return node && node->red;
}

static void set_child(struct rb_node *parent, int side, struct rb_node *child)
{
    parent->child[side] = child;
    if (child)
        child->parent = parent;
}

/* Let `by` take the place of node below node's parent. `by` may be NULL. */
static void replace(struct rb_tree *tree, struct rb_node *node, struct rb_node *by)
{
    struct rb_node *parent = node->parent;

    if (parent) {
        set_child(parent, parent->child[1] == node, by);
    } else {
        tree->root = by;
        if (by)
            by->parent = NULL;
    }
}

/* node goes down to that side. Its child on the other side takes its place. */
static void rotate(struct rb_tree *tree, struct rb_node *node, int side)
{
    struct rb_node *up = node->child[!side];

    replace(tree, node, up);
    set_child(node, !side, up->child[side]);
    set_child(up, side, node);
}

void rb_insert(struct rb_tree *tree, struct rb_node *node)
{
    struct rb_node *parent = NULL, **link = &tree->root;

    if (!tree->root) {
        *node = (struct rb_node){.key = node->key};
        tree->root = tree->first = node;
        return;
    }

    while (*link) {
        parent = *link;
        link = &parent->child[!rb_key_before(node->key, parent->key)];
    }
    *node = (struct rb_node){.parent = parent, .key = node->key, .red = true};
    *link = node;

    if (rb_key_before(node->key, tree->first->key))
        tree->first = node;

    /* The rule "a red node has black children" may be broken now: mend it from node upwards. */
    while (is_red(node->parent)) {
        struct rb_node *grand;
        int side;

        parent = node->parent;
        grand = parent->parent;
        side = grand->child[1] == parent;

        if (is_red(grand->child[!side])) {
            parent->red = false;
            grand->child[!side]->red = false;
            grand->red = true;
            node = grand;
            continue;
        }

        if (parent->child[!side] == node) {
            rotate(tree, parent, side);
            parent = node;
        }
        parent->red = false;
        grand->red = true;
        rotate(tree, grand, !side);
        break;
    }
    tree->root->red = false;
}

/* Mend the tree when all paths through node have one black node too few. node is a child of parent and may be NULL. */
static void mend_black(struct rb_tree *tree, struct rb_node *node, struct rb_node *parent)
{
    while (parent && !is_red(node)) {
        int side = parent->child[1] == node;
        struct rb_node *sibling = parent->child[!side];

        if (sibling->red) {
            sibling->red = false;
            parent->red = true;
            rotate(tree, parent, side);
            sibling = parent->child[!side];
        }

        if (!is_red(sibling->child[0]) && !is_red(sibling->child[1])) {
            sibling->red = true;
            node = parent;
            parent = node->parent;
            continue;
        }

        if (!is_red(sibling->child[!side])) {
            sibling->child[side]->red = false;
            sibling->red = true;
            rotate(tree, sibling, !side);
            sibling = parent->child[!side];
        }

        sibling->red = parent->red;
        parent->red = false;
        sibling->child[!side]->red = false;
        rotate(tree, parent, side);
        return;
    }

    if (node)
        node->red = false;
}

void rb_erase(struct rb_tree *tree, struct rb_node *node)
{
    struct rb_node *orphan, *parent; /* the node that moves up to the place of a missing one, and that place's parent */
    bool lost_black;

    if (tree->root == node && !node->child[0] && !node->child[1]) {
        tree->root = tree->first = NULL;
        return;
    }

    if (tree->first == node)
        tree->first = rb_next(node);

    if (node->child[0] && node->child[1]) {
        struct rb_node *heir = rb_next(node); /* heir->child[0] is NULL */

        orphan = heir->child[1];
        lost_black = !heir->red;
        if (heir->parent == node) {
            parent = heir;
        } else {
            parent = heir->parent;
            set_child(parent, 0, orphan);
            set_child(heir, 1, node->child[1]);
        }
        set_child(heir, 0, node->child[0]);
        heir->red = node->red;
        replace(tree, node, heir);
    } else {
        orphan = node->child[0] ? node->child[0] : node->child[1];
        parent = node->parent;
        lost_black = !node->red;
        replace(tree, node, orphan);
    }

    if (lost_black)
        mend_black(tree, orphan, parent);
}

struct rb_node *rb_next(const struct rb_node *node)
{
    struct rb_node *next = node->child[1];

    if (next) {
        while (next->child[0])
            next = next->child[0];
        return next;
    }

    for (next = node->parent; next && next->child[1] == node; next = next->parent)
        node = next;
    return next;
}
