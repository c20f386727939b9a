//! Faults of the instances themselves: they die, freeze, drop what they are doing, and are replaced by another release.

use rustix::process::Signal;

use super::{Arena, Deed, Loses, Needs, Nemesis, Within};

pub(super) static NONE: Nemesis = Nemesis {
    name: "none",
    does: "nothing goes wrong",
    needs: Needs::ANY,
    loses: Loses::Nothing,
    within: Within::NOTHING,
    deeds: &[],
};

pub(super) static KILL_WRITERS: Nemesis = Nemesis {
    name: "kill-writers",
    does: "kill -9 of a process in the middle of a write, between COMMIT and clear or between mark and COMMIT",
    needs: Needs::ANY,
    loses: Loses::Nothing,
    within: Within { crash: 2.0, cancels: false },
    deeds: &[],
};

pub(super) static KILL_READERS: Nemesis = Nemesis {
    name: "kill-readers",
    does: "kill -9 of a whole instance at any moment of its reads, loads and writes",
    needs: Needs::ANY,
    loses: Loses::Nothing,
    within: Within::NOTHING,
    deeds: &[Deed { every: 200..=1200, strike: kill, heal: |_| Ok(()) }],
};

pub(super) fn kill(arena: &mut Arena) -> Result<bool, String> {
    let victim = arena.any_instance();
    Ok(arena.troops.signal(victim, Signal::KILL))
}

pub(super) static FREEZE: Nemesis = Nemesis {
    name: "freeze",
    does: "SIGSTOP of an instance for up to three seconds, then SIGCONT",
    needs: Needs::ANY,
    loses: Loses::Nothing,
    within: Within::NOTHING,
    deeds: &[Deed { every: 50..=500, strike: freeze, heal: |_| Ok(()) }],
};

pub(super) fn freeze(arena: &mut Arena) -> Result<bool, String> {
    let victim = arena.any_instance();
    let frozen = arena.troops.signal(victim, Signal::STOP);
    // Short ones too: they fall into the middle of one command.
    let longest = [20, 300, 3000][arena.rng.usize(..3)];
    arena.wait_some(1..=longest);
    arena.troops.signal(victim, Signal::CONT);
    Ok(frozen)
}

pub(super) static CANCEL: Nemesis = Nemesis {
    name: "cancel",
    does: "one read in eight and one write in three is dropped before it is done, at any of its awaits",
    needs: Needs::ANY,
    loses: Loses::Nothing,
    within: Within { crash: 0.0, cancels: true },
    deeds: &[],
};

pub(super) static DEPLOY: Nemesis = Nemesis {
    name: "deploy",
    does: "instances are replaced one by one by a release with another row type, and back",
    needs: Needs::ANY,
    loses: Loses::Nothing,
    within: Within::NOTHING,
    deeds: &[Deed { every: 100..=800, strike: deploy, heal: |_| Ok(()) }],
};

/// The next instance of a rolling deployment; after the last one the next release begins.
fn deploy(arena: &mut Arena) -> Result<bool, String> {
    let count = arena.troops.count();
    let oldest = (0..count).min_by_key(|&number| arena.troops.release(number)).unwrap_or_default();
    Ok(arena.troops.replace(oldest))
}
