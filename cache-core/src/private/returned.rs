//! Looks into what a write returned, for `<return.…>`: nothing for `None`, each element of a sequence, else the value itself.
//! Refuses to need a bound on it: the choice is made by method lookup, where an inherent method wins over a trait's.

use std::slice;
use std::sync::Arc;

/// What a write whose result names subjects returns.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether the write succeeded",
    label = "not a `Result`",
    note = "a write whose result names what it changed, or whose transaction is committed for it, returns a `Result`"
)]
pub trait Fallible {
    /// What it returns on success.
    type Payload;

    /// What was returned, if the write succeeded.
    fn succeeded(&self) -> Option<&Self::Payload>;
}

impl<T, E> Fallible for Result<T, E> {
    type Payload = T;

    fn succeeded(&self) -> Option<&T> {
        self.as_ref().ok()
    }
}

/// What was returned, if the write succeeded.
pub fn succeeded<R: Fallible>(result: &R) -> Option<&R::Payload> {
    result.succeeded()
}

/// A payload, to be looked into by `items`.
#[derive(Debug)]
pub struct Returned<'a, T: ?Sized>(pub &'a T);

impl<'a, T> Returned<'a, Option<T>> {
    /// The value, if something was changed.
    pub fn items(&self) -> slice::Iter<'a, T> {
        self.0.as_slice().iter()
    }
}

impl<'a, T> Returned<'a, Vec<T>> {
    /// Each element.
    pub fn items(&self) -> slice::Iter<'a, T> {
        self.0.iter()
    }
}

impl<'a, T, const N: usize> Returned<'a, [T; N]> {
    /// Each element.
    pub fn items(&self) -> slice::Iter<'a, T> {
        self.0.iter()
    }
}

impl<'a, T> Returned<'a, Box<[T]>> {
    /// Each element.
    pub fn items(&self) -> slice::Iter<'a, T> {
        self.0.iter()
    }
}

impl<'a, T> Returned<'a, Arc<Vec<T>>> {
    /// Each element.
    pub fn items(&self) -> slice::Iter<'a, T> {
        self.0.iter()
    }
}

impl<'a, T> Returned<'a, Arc<[T]>> {
    /// Each element.
    pub fn items(&self) -> slice::Iter<'a, T> {
        self.0.iter()
    }
}

/// The payloads that are one value.
pub trait ReturnedAlone<'a, T> {
    /// The value itself; fields are reached through `Arc` and `Box` as usual.
    fn items(&self) -> std::iter::Once<&'a T>;
}

impl<'a, T> ReturnedAlone<'a, T> for Returned<'a, T> {
    fn items(&self) -> std::iter::Once<&'a T> {
        std::iter::once(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_changed_nothing_and_some_changed_one() {
        assert_eq!(Returned(&None::<i64>).items().count(), 0);
        assert_eq!(Returned(&Some(7)).items().collect::<Vec<_>>(), [&7]);
    }

    #[test]
    fn every_element_of_a_sequence_was_changed() {
        assert_eq!(Returned(&vec![1, 2]).items().collect::<Vec<_>>(), [&1, &2]);
        assert_eq!(Returned(&Arc::new(vec![1, 2])).items().count(), 2);
        assert_eq!(Returned(&Arc::<[i64]>::from([1, 2, 3])).items().count(), 3);
        assert_eq!(Returned(&[1, 2]).items().collect::<Vec<_>>(), [&1, &2]);
        assert_eq!(Returned(&Box::<[i64]>::from([1, 2, 3])).items().count(), 3);
    }

    #[test]
    fn anything_else_is_one_value() {
        fn generic<T>(value: &T) -> usize {
            Returned(value).items().count()
        }
        assert_eq!(Returned(&(1, "x")).items().next(), Some(&(1, "x")));
        assert_eq!(Returned(&Arc::new(5)).items().next(), Some(&Arc::new(5)));
        assert_eq!(generic(&3_u8), 1);
    }
}
