//! Which master serves which slot, from what several nodes tell. Pure. Refuses to believe an older claim beside a newer one.

use super::super::address::Endpoint;
use super::slot::SLOTS;
use super::view::View;

/// A master and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Master {
    pub(super) id: String,
    pub(super) endpoint: Endpoint,
}

/// The masters, and for each slot the place of its master among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Map {
    pub(super) masters: Vec<Master>,
    pub(super) owners: Vec<Option<u16>>,
}

impl Map {
    /// The newest of all claims, slot by slot. `known` are the masters in use: one keeps its address while anybody tells it.
    pub(super) fn merge(views: &[View], known: &[Master]) -> Self {
        let mut owners: Vec<Option<(u64, &str)>> = vec![None; usize::from(SLOTS)];
        for claim in views.iter().flat_map(|view| &view.0) {
            for slot in claim.slots.clone() {
                let owner = &mut owners[usize::from(slot)];
                if owner.is_none_or(|(epoch, _)| epoch < claim.epoch) {
                    *owner = Some((claim.epoch, &claim.id));
                }
            }
        }
        let mut ids: Vec<&str> = owners.iter().flatten().map(|(_, id)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        let place = |id: &str| ids.binary_search(&id).ok().and_then(|at| u16::try_from(at).ok());
        Self {
            owners: owners.iter().map(|owner| owner.and_then(|(_, id)| place(id))).collect(),
            masters: ids
                .iter()
                .filter_map(|id| Some(Master { id: (*id).to_owned(), endpoint: endpoint(id, views, known)? }))
                .collect(),
        }
    }
}

fn endpoint(id: &str, views: &[View], known: &[Master]) -> Option<Endpoint> {
    let told =
        || views.iter().flat_map(|view| &view.0).filter(|claim| claim.id == id).map(|claim| &claim.endpoint);
    let in_use = known.iter().find(|master| master.id == id).map(|master| &master.endpoint);
    let kept = told().find(|endpoint| in_use == Some(endpoint));
    kept.or_else(|| told().min_by_key(|endpoint| (&endpoint.host, endpoint.port))).cloned()
}

#[cfg(test)]
mod tests {
    use super::super::view::Claim;
    use super::*;

    fn at(host: &str) -> Endpoint {
        Endpoint { host: host.into(), port: 1 }
    }

    fn claim(slots: std::ops::RangeInclusive<u16>, id: &str, host: &str, epoch: u64) -> Claim {
        Claim { slots, id: id.into(), endpoint: at(host), epoch }
    }

    fn owner(map: &Map, slot: usize) -> Option<&str> {
        map.owners[slot].map(|place| map.masters[usize::from(place)].id.as_str())
    }

    #[test]
    fn the_newest_claim_on_a_slot_wins_whoever_tells_it_first() {
        let old = View(vec![claim(0..=99, "a", "a", 1), claim(100..=199, "b", "b", 2)]);
        let new = View(vec![claim(0..=49, "a", "a", 1), claim(50..=199, "b", "b", 3)]);
        for views in [[old.clone(), new.clone()], [new, old]] {
            let map = Map::merge(&views, &[]);
            assert_eq!(
                (owner(&map, 49), owner(&map, 50), owner(&map, 199)),
                (Some("a"), Some("b"), Some("b"))
            );
            assert_eq!(owner(&map, 200), None, "nobody serves it");
            assert_eq!(map.masters.len(), 2);
        }
    }

    #[test]
    fn a_master_that_serves_nothing_is_none() {
        let views = [View(vec![claim(0..=9, "a", "a", 1)]), View(vec![claim(0..=9, "b", "b", 2)])];
        let ids: Vec<_> = Map::merge(&views, &[]).masters.into_iter().map(|master| master.id).collect();
        assert_eq!(ids, ["b"]);
    }

    #[test]
    fn an_address_in_use_is_kept_while_anybody_tells_it() {
        let views = [View(vec![claim(0..=9, "a", "name", 1)]), View(vec![claim(0..=9, "a", "10.0.0.1", 1)])];
        let using = |host: &str| {
            let known = [Master { id: "a".into(), endpoint: at(host) }];
            Map::merge(&views, &known).masters[0].endpoint.host.clone()
        };
        assert_eq!(
            (using("name"), using("10.0.0.1"), using("gone")),
            ("name".into(), "10.0.0.1".into(), "10.0.0.1".into())
        );
    }
}
