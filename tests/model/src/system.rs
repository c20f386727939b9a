//! What the checker explores: something with states, steps that can tell what they did, and four promises. Refuses to know
//! which model it is.

use std::fmt;
use std::hash::{Hash, Hasher};

use stateright::{Model, Property};

use crate::promise::Promise;

/// A model of a protocol.
pub trait System: Clone + Send + Sync + 'static {
    /// A moment.
    type State: Clone + PartialEq + Hash + Send + Sync + 'static;
    /// What may happen next.
    type Action: Copy + PartialEq + Send + Sync + 'static;

    /// The moments it may begin with.
    fn initial(&self) -> Vec<Self::State>;

    /// What may happen. Some of it may turn out to be impossible.
    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>);

    /// Lets it happen; `None` if it cannot.
    fn step(&self, state: &Self::State, action: Self::Action, story: &mut Story) -> Option<Self::State>;

    /// Whether a moment keeps a promise.
    fn keeps(&self, promise: Promise, state: &Self::State) -> bool;
}

/// Something that may differ from another in names only.
pub trait Symmetric {
    /// The same with the names in a fixed order.
    #[must_use]
    fn canonical(&self) -> Self;
}

/// A moment that counts as seen when one that differs in names only was: which reader is which makes no difference. Only the
/// hash says so, so a path through such moments is a real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unnamed<T>(pub T);

impl<T: Symmetric + Hash> Hash for Unnamed<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.canonical().hash(state);
    }
}

/// What a step did, in words; only put together when somebody listens.
pub struct Story(Option<String>);

impl Story {
    /// Nobody listens.
    #[must_use]
    pub fn silent() -> Self {
        Self(None)
    }

    /// The words are kept.
    #[must_use]
    pub fn listening() -> Self {
        Self(Some(String::new()))
    }

    /// Adds what happened.
    pub fn tell<W: fmt::Display>(&mut self, words: impl FnOnce() -> W) {
        if let Some(told) = &mut self.0 {
            if !told.is_empty() {
                told.push_str("; ");
            }
            told.push_str(&words().to_string());
        }
    }

    /// What was told.
    #[must_use]
    pub fn told(self) -> String {
        self.0.unwrap_or_default()
    }
}

/// A system and the promises to look at, as the checker wants it.
pub(crate) struct Checked<S> {
    pub(crate) system: S,
    pub(crate) promises: Vec<Promise>,
}

impl<S: System> Model for Checked<S> {
    type State = S::State;
    type Action = S::Action;

    fn init_states(&self) -> Vec<S::State> {
        self.system.initial()
    }

    fn actions(&self, state: &S::State, actions: &mut Vec<S::Action>) {
        self.system.actions(state, actions);
    }

    fn next_state(&self, state: &S::State, action: S::Action) -> Option<S::State> {
        self.system.step(state, action, &mut Story::silent())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let property = |promise: &Promise| match promise {
            Promise::A => {
                Property::always("A", |checked: &Self, state| checked.system.keeps(Promise::A, state))
            }
            Promise::B => {
                Property::always("B", |checked: &Self, state| checked.system.keeps(Promise::B, state))
            }
            Promise::C => {
                Property::always("C", |checked: &Self, state| checked.system.keeps(Promise::C, state))
            }
            Promise::D => {
                Property::always("D", |checked: &Self, state| checked.system.keeps(Promise::D, state))
            }
        };
        self.promises.iter().map(property).collect()
    }
}
