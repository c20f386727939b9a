//! The Lua scripts, by digest. Refuses to run: see [`super::link`].

use std::sync::LazyLock;

/// A script as the server knows it.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) source: &'static str,
    pub(super) digest: String,
}

macro_rules! scripts {
    ($($name:ident = $($file:literal)+;)*) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            let source = concat!($(include_str!(concat!("lua/", $file))),+);
            Script { source, digest: redis::Script::new(source).get_hash().to_owned() }
        });)*

        /// Every script, to be loaded when a connection opens.
        pub(super) fn all() -> impl Iterator<Item = &'static Script> {
            [$(&$name),*].into_iter().map(|script| &**script)
        }
    };
}

scripts! {
    LEASE = "lease.lua";
    TAG = "generation.lua" "tag.lua";
    FILL = "fill.lua";
    RELEASE = "release.lua";
    MARK = "mark.lua";
    MARK_TAG = "generation.lua" "mark_tag.lua";
    CLEAR = "clear.lua";
    CLEAR_TAG = "generation.lua" "clear_tag.lua";
}
