//! Which entry a value belongs to, and write-through's way into it. Refuses to install under a template that nobody reads.

use std::collections::HashMap;
use std::sync::OnceLock;

use bytes::Bytes;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::codec;
use crate::output::{Output, ValueOf};
use crate::schema::{self, Cacheable};
use crate::scope::Recording;
use crate::site::{ReadSite, Site, shape};
use crate::subject::{EntryKey, Subject};

/// Hash of what a site's entries have in common besides their type: template shape and declared tags.
pub(crate) fn seed(site: &ReadSite) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(shape(site.template).as_bytes());
    for tag in site.tags {
        hash.update(&[0]);
        hash.update(shape(tag).as_bytes());
    }
    hash.update(&site.version.to_le_bytes());
    hash.digest()
}

/// The field of an entry: schema, template and tags in one number.
pub(crate) fn field<V: Cacheable>(seed: u64) -> u64 {
    xxh3_64_with_seed(&schema::fingerprint::<V>().to_le_bytes(), seed)
}

/// Records the value of a write-through for the read sites that share its template. No such site, no value, a site with
/// tags (whose generations were not read before the value was), or one with `unless`, `only_if` or `ttl_from` (which are asked
/// where a value is loaded): nothing is recorded, and the commit only clears.
pub(crate) fn put<O: Output>(recording: &Recording, template: &str, subject: &Subject, output: &O) {
    let readers = readers_of(template);
    let Some(value) = output.peek().filter(|_| !readers.is_empty()) else { return };
    let Ok(payload) = codec::encode(value) else { return };
    let payload = Bytes::from(payload);
    for site in readers {
        let key = EntryKey { subject: subject.clone(), field: field::<ValueOf<O>>(seed(site)) };
        recording.put(key, payload.clone(), codec::NAMED_MESSAGEPACK, site);
    }
}

/// The read sites of this template's shape that have no tags, and store whatever they load.
fn readers_of(template: &str) -> &'static [&'static ReadSite] {
    static READERS: OnceLock<HashMap<String, Vec<&'static ReadSite>>> = OnceLock::new();
    let readers = READERS.get_or_init(|| {
        let mut readers = HashMap::<_, Vec<_>>::new();
        for site in inventory::iter::<Site> {
            if let Site::Read(read) = site
                && read.tags.is_empty()
                && !read.judges
            {
                readers.entry(shape(read.template)).or_default().push(*read);
            }
        }
        readers
    });
    readers.get(&shape(template)).map_or(&[], Vec::as_slice)
}
