//! What a batch returns: matched to its keys, or an error.

use super::shop::{MANY, name};
use super::*;

type Aligned = Result<Vec<Option<u64>>, BatchError>;

impl Shop {
    /// As `many`, in the order of the keys; the loader may spoil its result.
    async fn aligned(&self, ids: &[u64], spoil: impl FnOnce(&mut Vec<Option<u64>>)) -> Aligned {
        let lookup = private::BatchLookup::new(&self.a.cache, &MANY, ids.to_vec(), 1000, name, |_, _| {});
        let load = async |ids: Vec<u64>| {
            let seen = self.select(&ids).unwrap();
            let mut list = ids.iter().map(|id| seen.get(id).copied()).collect();
            spoil(&mut list);
            Ok(list)
        };
        lookup.read(load).await
    }
}

#[tokio::test]
async fn nothing_is_asked_for_nothing() {
    let shop = Shop::with(1..=3);
    assert!(shop.many([]).await.unwrap().is_empty());
    assert_eq!(shop.aligned(&[], |_| ()).await, Ok(vec![]));
    assert_eq!((shop.round_trips(), shop.loads()), (vec![], vec![]));
}

#[tokio::test]
async fn a_list_keeps_the_order_and_the_repetitions_of_its_keys() {
    let shop = Shop::with(1..=3);
    for _ in 0..2 {
        let list = shop.aligned(&[3, 1, 9, 3, 2], |_| ()).await;
        assert_eq!(list, Ok(vec![Some(30), Some(10), None, Some(30), Some(20)]));
    }
    assert_eq!(shop.loads(), [vec![3, 1, 9, 2]], "each key once");
    assert_eq!(shop.many([3, 3]).await.unwrap(), HashMap::from([(3, 30)]));
}

#[tokio::test]
async fn what_is_absent_is_remembered_without_an_option_in_the_value() {
    let shop = Shop::with(1..=2);
    for _ in 0..2 {
        assert_eq!(shop.many([1, 8, 9]).await.unwrap(), HashMap::from([(1, 10)]));
    }
    assert_eq!(shop.loads().len(), 1);
    assert_eq!((shop.stats().hits, shop.stats().negative_hits), (1, 2));
    assert_eq!(shop.one(9).await, None);
    assert_eq!(shop.stats().negative_hits, 3, "a single read is served it, too");
    shop.write(9, 90).await;
    assert_eq!(shop.many([9]).await.unwrap(), HashMap::from([(9, 90)]), "until a write names it");
}

#[tokio::test]
async fn an_error_of_the_loader_passes_untouched_and_leaves_nothing_behind() {
    let shop = Shop::with(1..=3);
    shop.many([1]).await.unwrap();
    shop.fail();
    assert_eq!(shop.many([1, 2, 3]).await, Err("the table is gone".into()));
    shop.mend();
    until(|| shop.world.store.count(Command::ReleaseMany) == 1).await;
    assert_eq!(shop.many([1, 2, 3]).await.unwrap().len(), 3);
    assert_eq!((shop.stats().load_errors, shop.stats().fills), (1, 3), "and no lease is left");
}

#[tokio::test]
async fn a_list_of_another_length_is_an_error_and_nothing_is_cached() {
    let shop = Shop::with(1..=3);
    let shorter = shop.aligned(&[1, 2, 3], |list| list.truncate(2)).await;
    assert_eq!(shorter, Err(BatchError::new(3, 2)));
    let longer = shop.aligned(&[1, 2, 3], |list| list.push(None)).await.unwrap_err();
    assert_eq!(
        longer.to_string(),
        "a batch function was asked for 3 keys and returned 4 values: return one `Option` for each key, in their order, or a `HashMap`"
    );
    assert_eq!(shop.stats().fills, 0);
    assert_eq!(shop.aligned(&[1, 2, 3], |_| ()).await, Ok(vec![Some(10), Some(20), Some(30)]));
}

#[tokio::test]
async fn a_key_that_comes_back_by_another_name_is_not_taken_for_absent() {
    let shop = Shop::with(1..=3);
    let load = async |_: Vec<u64>| Ok::<_, String>(HashMap::from([(1, 10), (2000, 20)]));
    let expected = HashMap::from([(1, 10), (2000, 20)]);
    assert_eq!(shop.ask([1, 2]).read(load).await.unwrap(), expected, "as without a cache");
    assert_eq!(shop.ask([1, 2]).read(load).await.unwrap(), expected, "nor is it the second time");
    assert_eq!((shop.stats().fills, shop.stats().negative_hits), (1, 0));
}

#[tokio::test]
async fn a_map_may_stand_alone_and_hold_owned_keys_for_borrowed_ones() {
    let shop = Shop::with([]);
    let name = |text: &mut private::Text, slug: &&str| text.part(*slug);
    let load = async |slugs: Vec<&str>| {
        slugs
            .into_iter()
            .map(|slug| (slug.to_owned(), Arc::new(slug.len() as u64)))
            .collect::<HashMap<_, _>>()
    };
    for _ in 0..2 {
        let lookup = private::BatchLookup::new(&shop.a.cache, &MANY, vec!["a", "bcd"], 1000, name, |_, _| {});
        assert_eq!(lookup.read(load).await["bcd"], Arc::new(3));
    }
    assert_eq!(shop.stats().hits, 2);
}
