package stage

import (
	"strings"

	"github.com/reedbed/reedbed/dataset"
)

// The engine's aggregate and window functions, and those whose result is not a
// function of their arguments, as DuckDB 1.5.5 lists them in duckdb_functions().
// A new engine release means reading the lists again.
var (
	aggregates = words(`any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null
		arg_max_nulls_last arg_min arg_min_null arg_min_nulls_last argmax argmin array_agg avg bit_and bit_or bit_xor
		bitstring_agg bool_and bool_or corr count count_if count_star countif covar_pop covar_samp cume_dist dense_rank
		entropy favg fill first first_value fsum group_concat histogram histogram_exact kahan_sum kurtosis kurtosis_pop
		lag last last_value lead list listagg mad max max_by mean median min min_by mode nth_value ntile percent_rank
		product quantile quantile_cont quantile_disc rank rank_dense regr_avgx regr_avgy regr_count regr_intercept
		regr_r2 regr_slope regr_sxx regr_sxy regr_syy reservoir_quantile row_number sem skewness stddev stddev_pop
		stddev_samp string_agg sum sum_no_overflow sumkahan var_pop var_samp variance`)

	volatile = words(`current_connection_id current_database current_date current_localtime current_localtimestamp
		current_query current_query_id current_schema current_schemas current_time current_timestamp
		current_transaction_id currval gen_random_uuid get_current_time get_current_timestamp in_search_path
		localtime localtimestamp nextval now random setseed sleep_ms stats today transaction_timestamp txid_current
		uuid uuidv4 uuidv7 write_log`)

	// pureSources are the table functions that read nothing but their arguments.
	pureSources = words(`generate_series json_each json_tree range repeat unnest`)
)

// readers are the functions that read a table beside their arguments.
var readers = map[string]string{"schema_errors": dataset.Schemas}

func words(s string) map[string]bool {
	out := map[string]bool{}
	for word := range strings.FieldsSeq(s) {
		out[word] = true
	}
	return out
}
