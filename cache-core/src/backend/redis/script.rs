//! The Lua scripts, by digest. Refuses to run: see [`super::link`].

use std::sync::LazyLock;

/// What a script calls on the line that a server names in an error, which does not say what it has refused there.
pub(super) fn called_in(error: &str) -> Option<String> {
    let script = all().find(|script| error.contains(&script.digest))?;
    let place = error.rsplit_once("user_script:")?.1.trim_start();
    let line: usize = place.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()?;
    let line = script.source.lines().nth(line.checked_sub(1)?)?;
    let names: Vec<&str> = line.split("call('").skip(1).filter_map(|rest| rest.split('\'').next()).collect();
    (!names.is_empty()).then(|| names.join(" or "))
}

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
    LEASE = "standing.lua" "queued.lua" "lease.lua";
    TAG = "generation.lua" "standing.lua" "tag.lua";
    FILL = "fill.lua";
    RELEASE = "release.lua";
    ASIDE = "aside.lua";
    MARK = "tell.lua" "mark.lua";
    MARK_TAG = "generation.lua" "tell.lua" "mark_tag.lua";
    TELL = "tell.lua" "all.lua";
    RENEW = "renew.lua";
    HEARD = "heard.lua";
    FORGET = "forget.lua";
    CLEAR = "clear.lua";
    CLEAR_TAG = "generation.lua" "clear_tag.lua";
    PART = "generation.lua" "part.lua";
    FENCE = "fence.lua";
    FENCES = "standing.lua" "fences.lua";
    TURN = "generation.lua" "turn.lua";
    JOURNAL = "journal.lua";
    APPEND = "append.lua";
    RECORDS = "records.lua";
    TRIM = "trim.lua";
    PEND = "solo.lua" "tell.lua" "pend.lua";
    SETTLE = "solo.lua" "tell.lua" "settle.lua";
    COUNT = "count.lua";
    TAKE = "take.lua";
    DONE = "done.lua";
    SHOWN = "queued.lua" "shown.lua";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_on_a_line_of_a_script_is_named() {
        let line = MARK.source.lines().position(|line| line.contains("'UNLINK'")).unwrap() + 1;
        let error = format!("ERR can't run this script: {}, on @user_script:{line}.", MARK.digest);
        assert_eq!(called_in(&error).as_deref(), Some("UNLINK"));
        let wrapped = format!(
            "ERR Error running script (call to f_{}): @user_script:{line}: @user_script: {line}: no",
            MARK.digest
        );
        assert_eq!(called_in(&wrapped).as_deref(), Some("UNLINK"));
        for strange in ["", "ERR script: abc, on @user_script:3.", &format!("{} @user_script:0", MARK.digest)]
        {
            assert_eq!(called_in(strange), None, "{strange}");
        }
    }
}
