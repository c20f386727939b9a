use cache_core::cached;

struct Users;

impl Users {
    #[cached(key = "user:<id>", ttl = "1h")]
    //~ no field `cache` on type `&Users`
    async fn find(&self, id: i64) -> i64 {
        id
    }
}

fn main() {}
