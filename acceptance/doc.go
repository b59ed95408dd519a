// Package acceptance holds the tests of the whole program as people run it: the
// real binary, real processes, real files, HTTP and signals. It has no other
// code.
//
// It knows the program from outside: commands, paths, what is promised. To
// compare what is on record it opens a stopped project's catalog. It must
// never start a part of the pipeline inside the test process, where killing it
// would prove nothing.
//
// -short runs a smaller version of each test. Random moments come from a seed
// that every run prints; REEDBED_SEED runs one again.
package acceptance
