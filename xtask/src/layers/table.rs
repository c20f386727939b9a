//! Which module lies in which layer. A new module of cache-core gets its line here.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Ground,
    Vocabulary,
    Seam,
    Mechanism,
    Engine,
    Surface,
    /// Beside the tower: imports up to the seams, and only `lib.rs` names it.
    Store,
}

const LAYERS: &[(Layer, &[&str])] = &[
    (Layer::Surface, &["cache", "builder", "catalogue", "admin", "warm", "http", "testkit", "private"]),
    (Layer::Engine, &["engine"]),
    (Layer::Mechanism, &["l1", "freshness", "flight", "stampede", "write_behind", "breaker"]),
    (Layer::Seam, &["store", "bus", "observe", "scope", "lock", "limit", "codec", "heal"]),
    (Layer::Vocabulary, &["key", "subject", "tag", "entry", "ttl", "policy", "schema", "site"]),
    (Layer::Ground, &["error", "time", "rng"]),
    (Layer::Store, &["backend"]),
];

pub(super) fn layer_of(module: &str) -> Option<Layer> {
    LAYERS.iter().find(|(_, modules)| modules.contains(&module)).map(|&(layer, _)| layer)
}

impl Layer {
    /// The height, `None` for what stands beside the tower.
    fn height(self) -> Option<u8> {
        match self {
            Self::Ground => Some(0),
            Self::Vocabulary => Some(1),
            Self::Seam => Some(2),
            Self::Mechanism => Some(3),
            Self::Engine => Some(4),
            Self::Surface => Some(5),
            Self::Store => None,
        }
    }

    pub(super) fn may_import(self, other: Self) -> bool {
        match (self.height(), other.height()) {
            (Some(own), Some(other)) => other < own,
            (None, Some(other)) => other <= 2,
            (_, None) => false,
        }
    }

    pub(super) fn rule(self) -> &'static str {
        match self {
            Self::Store => "a store imports layers 0 to 2 only",
            _ => "a module imports strictly lower layers, and only lib.rs names a store",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Ground => "ground",
            Self::Vocabulary => "vocabulary",
            Self::Seam => "seams",
            Self::Mechanism => "mechanisms",
            Self::Engine => "engine",
            Self::Surface => "surface",
            Self::Store => return f.write_str("stores"),
        };
        write!(f, "layer {}, {name}", self.height().unwrap_or_default())
    }
}
