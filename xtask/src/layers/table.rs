//! Which module lies in which layer. A new module of cache-core gets its line here.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Ground,
    Vocabulary,
    Seam,
    Decision,
    Mechanism,
    Engine,
    Surface,
    /// Beside the tower: imports up to the seams, and only `lib.rs` names it.
    Store,
}

/// Within vocabulary, seams and surface a module may import those named before it; decisions and mechanisms never import
/// each other.
const LAYERS: &[(Layer, &[&str])] = &[
    (
        Layer::Surface,
        &["catalogue", "merge", "cache", "commit", "admin", "warm", "http", "private", "testkit"],
    ),
    (Layer::Engine, &["engine"]),
    (Layer::Mechanism, &["advice", "l1", "flight", "write_behind", "breaker"]),
    (Layer::Decision, &["freshness", "stampede"]),
    (
        Layer::Seam,
        &[
            "bus", "store", "journal", "tally", "heal", "outbox", "observe", "mode", "scope", "loading",
            "lock", "limit", "codec",
        ],
    ),
    (Layer::Vocabulary, &["subject", "tag", "key", "ttl", "policy", "site", "entry", "schema", "output"]),
    (Layer::Ground, &["error", "time", "rng"]),
    (Layer::Store, &["backend"]),
];

pub(super) fn layer_of(module: &str) -> Option<Layer> {
    LAYERS.iter().find(|(_, modules)| modules.contains(&module)).map(|&(layer, _)| layer)
}

/// Whether a module may import another one; both are in the table.
pub(super) fn may_import(own: &str, other: &str) -> bool {
    let (Some(layer), Some(below)) = (layer_of(own), layer_of(other)) else { return false };
    match (layer.height(), below.height()) {
        (Some(high), Some(low)) if high == low => layer.is_ordered() && place(own) > place(other),
        (Some(high), Some(low)) => low < high,
        (None, Some(low)) => low <= SEAMS,
        (_, None) => false,
    }
}

/// Where a module stands among those of its layer.
fn place(module: &str) -> Option<usize> {
    LAYERS.iter().find_map(|(_, modules)| modules.iter().position(|known| *known == module))
}

const SEAMS: u8 = 2;

impl Layer {
    /// The height, `None` for what stands beside the tower.
    fn height(self) -> Option<u8> {
        match self {
            Self::Ground => Some(0),
            Self::Vocabulary => Some(1),
            Self::Seam => Some(SEAMS),
            Self::Decision => Some(3),
            Self::Mechanism => Some(4),
            Self::Engine => Some(5),
            Self::Surface => Some(6),
            Self::Store => None,
        }
    }

    fn is_ordered(self) -> bool {
        matches!(self, Self::Vocabulary | Self::Seam | Self::Surface)
    }

    pub(super) fn rule(self) -> &'static str {
        match self {
            Self::Store => "a store imports layers 0 to 2 only",
            _ if self.is_ordered() => {
                "a module imports lower layers and those named before it in its own (xtask/src/layers/table.rs), and only lib.rs names a store"
            }
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
            Self::Decision => "decisions",
            Self::Mechanism => "mechanisms",
            Self::Engine => "engine",
            Self::Surface => "surface",
            Self::Store => return f.write_str("stores"),
        };
        write!(f, "layer {}, {name}", self.height().unwrap_or_default())
    }
}
