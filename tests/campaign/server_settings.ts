/** What scenarios ask of a server. */
export const SERVER_SETTINGS = { max_prepared_transactions: "20" };
