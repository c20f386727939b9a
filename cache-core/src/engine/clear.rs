//! Clears a namespace. Refuses to say that it is done before nobody is answered with anything from before.

use super::Core;
use super::ask::within;
use crate::error::StoreError;

impl Core {
    /// Makes every entry worthless, and waits until everybody has noticed. Dropped on the way, it may have been done or not.
    pub(crate) async fn clear(&self) -> Result<(), StoreError> {
        let Some(store) = self.store() else { return Ok(()) };
        let clearing = store.clear_namespace(&self.namespace, self.random());
        let cleared = within(self.settings.mark_deadline, clearing).await;
        if let Some(near) = &self.near {
            near.tier.flush();
        }
        let wait = cleared?;
        if !self.settings.faults.clears_unnoticed {
            tokio::time::sleep(wait).await;
            if let Some(near) = self.near.as_ref().filter(|_| !wait.is_zero()) {
                // What it took meanwhile from a store of which this process had not noticed it.
                near.tier.flush();
            }
        }
        Ok(())
    }
}
