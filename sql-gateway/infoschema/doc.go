// Package infoschema has the tables of information_schema: their definitions, as virtual tables of the catalog, and
// their rows.
//
// The definitions are in tables.go in a short notation; rows come from a Source, which the session implements. Queries
// on them go through the ordinary planner, so that joins, USING, LIKE and ORDER BY work as on any table. Strings
// compare without regard to case, as clients expect of names here. Tables about things that this server does not have
// (triggers, routines, partitions ...) exist and are empty.
package infoschema
