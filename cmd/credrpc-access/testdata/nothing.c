/* The least program: for measuring what comes before it. */
int main(void) { return 0; }
