//! Two instances over one real Redis and one real Postgres: every kind of write is seen by the next read, and every known
//! race is played step by step, on the product and on the naive cache that loses it.

mod clear;
mod crashes;
mod dropped;
mod gates;
mod joins;
mod lookups;
mod lost_data;
mod many;
mod naive;
mod nested;
mod old_leases;
mod outages;
mod puts;
mod races;
mod repository;
mod side;
mod tags;
mod transactions;
mod wire;
mod world;
mod writes;
mod written;
