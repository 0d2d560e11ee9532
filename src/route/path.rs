//! The routes of one site, as a tree of path segments. Knows nothing of hosts.

use crate::model::RouteId;

/// One node of the tree; the root stands for `/`. A site with the single route `/` allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Paths {
    route: Option<RouteId>,
    /// Sorted by segment: a binary search beats a hash for the handful of prefixes that a site has.
    children: Vec<(Box<[u8]>, Paths)>,
}

impl Paths {
    /// Two routes with the same path are an error in the configuration; should it happen, the first one stays.
    pub(super) fn insert(&mut self, path: &str, route: RouteId) {
        let mut node = self;
        for segment in segments(path.as_bytes()).filter(|segment| !segment.is_empty()) {
            let at = node.position(segment).unwrap_or_else(|at| {
                node.children.insert(at, (segment.into(), Paths::default()));
                at
            });
            node = &mut node.children[at].1;
        }
        node.route.get_or_insert(route);
    }

    /// The routes whose path is a prefix of `path` in whole segments, lazily, the shortest first.
    pub(super) fn matches(&self, path: &[u8]) -> impl Iterator<Item = RouteId> {
        let below = segments(path).scan(self, |node, segment| {
            let at = node.position(segment).ok()?;
            *node = &node.children[at].1;
            Some(node.route)
        });
        std::iter::once(self.route).chain(below).flatten()
    }

    /// The last of [`Paths::matches`]: the longest.
    pub(super) fn longest(&self, path: &[u8]) -> Option<RouteId> {
        // Most sites have one route, for everything.
        if self.children.is_empty() { self.route } else { self.matches(path).last() }
    }

    fn position(&self, segment: &[u8]) -> Result<usize, usize> {
        self.children.binary_search_by(|(name, _)| (**name).cmp(segment))
    }
}

/// `/a/b` → `a`, `b`; `/a/` → `a` and an empty one; `/` → an empty one.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.strip_prefix(b"/").unwrap_or(path).split(|&byte| byte == b'/')
}
